#pragma once
/// \file
/// Losses: squared error on prompts, cross-entropy on token batches. A loss reads a shard of a batch, returns its
/// share of the loss, and writes the gradient of its outputs. Shares are normalised by the whole batch's weight, so
/// the shards' losses and gradients add up to the batch's.

#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/row_kernels.hpp"
#include "incontext/task/example_batch.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// mean over prompts and points of (f - y)^2, against the noisy labels. With `weights`, point k counts weights[k]
/// times and the mean is divided by their sum; a weight of zero masks a point.
struct SquaredError {
  using batch_type = Prompts;
  std::vector<double> weights = {};  ///< [points], or empty for ones

  [[nodiscard]] double weight_of(Index point) const {
    return weights.empty() ? 1.0 : weights[static_cast<std::size_t>(point)];
  }

  /// The total weight of a batch whose predictions start at `first_point`.
  /// \throws ConfigurationError if there are fewer weights than points, or none is positive
  [[nodiscard]] double total_weight(const Prompts& prompts, Index first_point) const {
    require(weights.empty() || static_cast<Index>(weights.size()) >= prompts.points, "SquaredError: ", weights.size(),
            " weights for ", prompts.points, " points, expected one for every point");
    double total = 0.0;
    for (Index point = first_point; point < prompts.points; ++point) {
      require(weight_of(point) >= 0.0, "SquaredError: the weight of point ", point, " is ", weight_of(point),
              ", expected at least 0");
      total += weight_of(point);
    }
    require(total > 0.0, "SquaredError: the weights of the predicted points sum to ", total, ", expected more than 0");
    return total * static_cast<double>(prompts.count);
  }

  /// Prompt `prompt`, point `point`: adds to the loss and gives the derivative by the prediction.
  template <class Scalar>
  double operator()(const Prompts& prompts, Index prompt, Index point, Scalar prediction, double total,
                    Scalar& d_prediction) const {
    const double weight = weight_of(point) / total;
    const double error = static_cast<double>(prediction) - prompts.labels(prompt, point);
    d_prediction = static_cast<Scalar>(2.0 * weight * error);
    return weight * error * error;
  }
};

/// mean over unmasked tokens of -log softmax(logits)[target], weighted.
struct CrossEntropy {
  using batch_type = TokenBatch;

  /// \throws ShapeError if tokens, targets or weights are not one for every token
  /// \throws ConfigurationError if a weight is negative, or nothing is left after masking
  [[nodiscard]] double total_weight(const TokenBatch& batch) const {
    const auto tokens = static_cast<std::size_t>(batch.count * batch.length);
    const bool fits = batch.tokens.size() == tokens && batch.targets.size() == tokens &&
                      (batch.weights.empty() || batch.weights.size() == tokens);
    require<ShapeError>(fits, "CrossEntropy: ", batch.tokens.size(), " tokens, ", batch.targets.size(), " targets and ",
                        batch.weights.size(), " weights for ", batch.count, " sequences of length ", batch.length,
                        ", expected ", tokens, " of each, or no weights");
    double total = batch.weights.empty() ? static_cast<double>(tokens) : 0.0;
    for (const double weight : batch.weights) {
      require(weight >= 0.0, "CrossEntropy: the weight of a token is ", weight, ", expected at least 0");
      total += weight;
    }
    require(total > 0.0, "CrossEntropy: the weights of a token batch sum to ", total, ", expected more than 0");
    return total;
  }

  /// Token `token` of the batch: adds to the loss and writes the derivative by its logits, [vocabulary].
  template <class Scalar>
  double operator()(const TokenBatch& batch, Index token, const Scalar* logits, Index vocabulary, double total,
                    Scalar* d_logits) const {
    const auto position = static_cast<std::size_t>(token);
    const double weight = (batch.weights.empty() ? 1.0 : batch.weights[position]) / total;
    const int target = batch.targets[position];
    if (weight == 0.0) {
      std::fill(d_logits, d_logits + vocabulary, Scalar{});
      return 0.0;
    }
    require<ShapeError>(target >= 0 && target < vocabulary, "target ", target, " is outside the vocabulary of ",
                        vocabulary);
    std::copy_n(logits, vocabulary, d_logits);
    softmax_rows(Scalar(1), MatrixView<Scalar>(d_logits, 1, vocabulary), [vocabulary](Index) { return vocabulary; });
    // log p of the target by way of the likeliest token, whose p is no smaller than 1 / vocabulary.
    const Index likeliest = std::max_element(logits, logits + vocabulary) - logits;
    const double log_probability = static_cast<double>(logits[target]) - static_cast<double>(logits[likeliest]) +
                                   std::log(static_cast<double>(d_logits[likeliest]));
    scale_row(vocabulary, static_cast<Scalar>(weight), d_logits);
    d_logits[target] -= static_cast<Scalar>(weight);
    return -weight * log_probability;
  }
};

namespace detail {

template <class Kind>
struct LossOfBatch;
template <>
struct LossOfBatch<Prompts> {
  using type = SquaredError;
};
template <>
struct LossOfBatch<TokenBatch> {
  using type = CrossEntropy;
};

}  // namespace detail

/// The loss that a medium is trained with.
template <ExampleBatch Kind>
using LossOf = typename detail::LossOfBatch<Kind>::type;

INCONTEXT_NAMESPACE_END
