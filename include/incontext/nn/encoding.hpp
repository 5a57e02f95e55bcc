#pragma once
/// \file
/// Encoding policies: how a prompt becomes tokens, and at which tokens its predictions are read.

#include "incontext/core/error.hpp"
#include "incontext/nn/model_input.hpp"
#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// Writes the instruction tokens of `prompts` in front of sequence `sequence` of `input`.
template <class Scalar>
inline void write_prefix(const Prompts& prompts, Index prompt, Index sequence, ModelInput<Scalar>& input) {
  for (Index position = 0; position < prompts.prefix; ++position) {
    input.ids[static_cast<std::size_t>(sequence * input.shape.tokens + position)] =
        prompts.tokens[static_cast<std::size_t>(prompt * prompts.prefix + position)];
  }
}

/// Writes prefix, inputs and labels of the prompts [first, first + number) where `Encoding` has them. The last point is
/// the query: its label stays zero, or out.
template <class Encoding, class Scalar>
inline void encode_points(const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
  input.reset({number, Encoding::tokens(prompts.prefix, prompts.points)}, Encoding::inputs(prompts.dimension));
  const MatrixView<Scalar> features = input.feature_rows();
  for (Index sequence = 0; sequence < number; ++sequence) {
    const Index prompt = first + sequence;
    write_prefix(prompts, prompt, sequence, input);
    for (Index point = 0; point < prompts.points; ++point) {
      const Index token = sequence * input.shape.tokens + Encoding::prediction_token(prompts.prefix, point);
      for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
        features(token, coordinate) = static_cast<Scalar>(prompts.inputs(prompt * prompts.points + point, coordinate));
      }
      if (point + 1 < prompts.points) {
        features(token + Encoding::label_offset, Encoding::label_feature(prompts.dimension)) =
            static_cast<Scalar>(prompts.labels(prompt, point));
      }
    }
  }
}

}  // namespace detail

/// x_0, y_0, x_1, y_1, ..., x_{points-1}, as Garg et al. 2022: y is padded to (y, 0, ..., 0), and y_k is predicted at
/// the token of x_k. The last y would be read by nobody under a causal mask and is left out.
struct InterleavedTokens {
  static constexpr bool needs_causal_mask = true;
  static Index inputs(Index dimension) { return dimension; }
  static Index tokens(Index prefix, Index points) { return prefix + 2 * points - 1; }
  /// The first point that a prediction exists for: all of them in one pass.
  static Index first_prediction(Index) { return 0; }
  static Index prediction_token(Index prefix, Index point) { return prefix + 2 * point; }
  /// A label stands in the token after its input, as the first feature.
  static constexpr Index label_offset = 1;
  static Index label_feature(Index) { return 0; }

  /// Encodes the prompts [first, first + number).
  template <class Scalar>
  static void encode(const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
    detail::encode_points<InterleavedTokens>(prompts, first, number, input);
  }
};

/// (x_0, y_0), ..., (x_{k-1}, y_{k-1}), (x_k, 0), as von Oswald et al. 2022: one token a point, the label beside the
/// input, zero for the query. One pass predicts the last point only.
struct ConcatenatedTokens {
  static constexpr bool needs_causal_mask = false;
  static Index inputs(Index dimension) { return dimension + 1; }
  static Index tokens(Index prefix, Index points) { return prefix + points; }
  static Index first_prediction(Index points) { return points - 1; }
  static Index prediction_token(Index prefix, Index point) { return prefix + point; }
  /// A label stands in its input's token, as the last feature.
  static constexpr Index label_offset = 0;
  static Index label_feature(Index dimension) { return dimension; }

  /// Encodes the prompts [first, first + number).
  template <class Scalar>
  static void encode(const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
    detail::encode_points<ConcatenatedTokens>(prompts, first, number, input);
  }
};

/// Predictions of a prompt in one pass.
template <class Encoding>
[[nodiscard]] inline Index predictions_of(Index points) {
  return points - Encoding::first_prediction(points);
}

/// Encodes the prompts [first, first + number), and names as read the tokens of their predictions. The outputs are then
/// one row for every prediction, prompt by prompt.
template <class Encoding, class Scalar>
inline void encode_to_predict(const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
  Encoding::encode(prompts, first, number, input);
  for (Index sequence = 0; sequence < number; ++sequence) {
    for (Index point = Encoding::first_prediction(prompts.points); point < prompts.points; ++point) {
      input.read.push_back(sequence * input.shape.tokens + Encoding::prediction_token(prompts.prefix, point));
    }
  }
}

INCONTEXT_NAMESPACE_END
