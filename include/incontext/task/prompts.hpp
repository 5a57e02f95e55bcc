#pragma once
/// \file
/// A batch of in-context regression prompts: what tasks sample, maps transform, and predictors read.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/core/matrix.hpp"

#include <algorithm>
#include <concepts>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A prediction for every point of every prompt, [count, points]; the entry at k rests on k exemplars.
using Predictions = RowMatrix<double>;

/// `count` prompts of `points` points each. At point k of a prompt a predictor has read the exemplars
/// (x_0, y_0), ..., (x_{k-1}, y_{k-1}) and predicts y_k from x_k: so one prompt is a query after 0, 1, ...,
/// points - 1 exemplars at once.
struct Prompts {
  using predictions_type = Predictions;

  Index count = 0;      ///< number of prompts
  Index points = 0;     ///< points in each prompt
  Index dimension = 0;  ///< coordinates of an input x

  RowMatrix<double> inputs;   ///< [count * points, dimension]: row i * points + k is x_k of prompt i
  RowMatrix<double> labels;   ///< [count, points]: what the learner reads, noise included
  RowMatrix<double> targets;  ///< [count, points]: the same without noise
  std::vector<int> tokens;    ///< [count * prefix]: discrete instruction tokens in front of every prompt
  Index prefix = 0;           ///< number of instruction tokens in front of every prompt
  /// The stream that the batch was drawn from, for maps that choose at random: they fold their own name into it.
  Key key;

  Prompts() = default;
  /// Zeros of the given shape.
  Prompts(Index prompt_count, Index point_count, Index input_dimension)
      : count(prompt_count),
        points(point_count),
        dimension(input_dimension),
        inputs(RowMatrix<double>::Zero(prompt_count * point_count, input_dimension)),
        labels(RowMatrix<double>::Zero(prompt_count, point_count)),
        targets(RowMatrix<double>::Zero(prompt_count, point_count)) {}

  /// The same with inputs, labels and targets that are still to be written.
  [[nodiscard]] static Prompts unfilled(Index prompt_count, Index point_count, Index input_dimension) {
    Prompts prompts;
    prompts.count = prompt_count, prompts.points = point_count, prompts.dimension = input_dimension;
    prompts.inputs.resize(prompt_count * point_count, input_dimension);
    prompts.labels.resize(prompt_count, point_count);
    prompts.targets.resize(prompt_count, point_count);
    return prompts;
  }

  /// The input x_k of one prompt, [dimension].
  [[nodiscard]] const double* input(Index prompt, Index point) const {
    return inputs.data() + (prompt * points + point) * dimension;
  }
  /// The inputs of one prompt, [points, dimension].
  [[nodiscard]] auto inputs_of(Index prompt) const { return inputs.middleRows(prompt * points, points); }
  [[nodiscard]] auto inputs_of(Index prompt) { return inputs.middleRows(prompt * points, points); }

  /// The prompts [first, first + number). The batch's key comes along: maps that choose at random count from it, so
  /// they belong before the slice.
  /// \throws ShapeError if the range reaches beyond the batch
  [[nodiscard]] Prompts slice(Index first, Index number) const {
    require<ShapeError>(first >= 0 && number >= 0 && first + number <= count, "Prompts::slice: prompts [", first, ", ",
                        first + number, ") of ", count);
    Prompts part(number, points, dimension);
    std::copy_n(input(first, 0), part.inputs.size(), part.inputs.data());
    std::copy_n(labels.data() + first * points, part.labels.size(), part.labels.data());
    std::copy_n(targets.data() + first * points, part.targets.size(), part.targets.data());
    part.prefix = prefix;
    part.tokens.assign(tokens.begin() + first * prefix, tokens.begin() + (first + number) * prefix);
    part.key = key;
    return part;
  }

  /// The first `number` points of every prompt. \throws ShapeError if number is not in [0, points]
  [[nodiscard]] Prompts first_points(Index number) const {
    require<ShapeError>(number >= 0 && number <= points, "Prompts::first_points: ", number, " of ", points, " points");
    Prompts part(count, number, dimension);
    for (Index prompt = 0; prompt < count; ++prompt) {
      std::copy_n(input(prompt, 0), number * dimension, part.inputs.data() + prompt * number * dimension);
      std::copy_n(labels.data() + prompt * points, number, part.labels.data() + prompt * number);
      std::copy_n(targets.data() + prompt * points, number, part.targets.data() + prompt * number);
    }
    part.prefix = prefix;
    part.tokens = tokens;
    part.key = key;
    return part;
  }

  /// Zeros of another count with the shape of this batch.
  [[nodiscard]] Prompts resized(Index prompt_count) const {
    Prompts prompts(prompt_count, points, dimension);
    prompts.prefix = prefix;
    prompts.tokens.resize(static_cast<std::size_t>(prompt_count * prefix));
    prompts.key = key;
    return prompts;
  }

  /// The instruction tokens of one prompt, [prefix].
  [[nodiscard]] const int* instruction(Index prompt) const { return tokens.data() + prompt * prefix; }
  [[nodiscard]] int* instruction(Index prompt) { return tokens.data() + prompt * prefix; }

  /// Puts `number` tokens in front of every prompt, before those that are there, given as [count * number].
  /// \throws ShapeError if there are not as many
  void put_in_front(const std::vector<int>& instructions, Index number) {
    require<ShapeError>(static_cast<Index>(instructions.size()) == count * number, "Prompts: ", instructions.size(),
                        " instruction tokens for ", count, " prompts, expected ", number, " each");
    std::vector<int> longer;
    longer.reserve(tokens.size() + instructions.size());
    for (Index prompt = 0; prompt < count; ++prompt) {
      const auto first = instructions.begin() + prompt * number;
      longer.insert(longer.end(), first, first + number);
      longer.insert(longer.end(), instruction(prompt), instruction(prompt) + prefix);
    }
    tokens = std::move(longer);
    prefix += number;
  }

  /// Takes the first `number` instruction tokens away again. \throws ShapeError if there are not as many
  void drop_front(Index number) {
    require<ShapeError>(number >= 0 && number <= prefix, "Prompts: ", number, " of ", prefix, " instruction tokens");
    std::vector<int> shorter;
    shorter.reserve(static_cast<std::size_t>(count * (prefix - number)));
    for (Index prompt = 0; prompt < count; ++prompt) {
      shorter.insert(shorter.end(), instruction(prompt) + number, instruction(prompt) + prefix);
    }
    tokens = std::move(shorter);
    prefix -= number;
  }

  /// Whether prompts of both could stand in one batch. \throws ShapeError if not
  void check_mixable(const Prompts& other) const {
    require<ShapeError>(points == other.points && dimension == other.dimension && prefix == other.prefix, "prompts of ",
                        points, " points, dimension ", dimension, " and ", prefix,
                        " instruction tokens cannot be mixed with prompts of ", other.points, " points, dimension ",
                        other.dimension, " and ", other.prefix, " instruction tokens");
  }

  /// Shows all its numbers, for a fingerprint: `visitor(pointer, count)`.
  template <class Visitor>
  void visit_numbers(Visitor&& visitor) const {
    visitor(inputs.data(), inputs.size());
    visitor(labels.data(), labels.size());
    visitor(tokens.data(), static_cast<Index>(tokens.size()));
  }

  /// Puts prompt `from` of `other` in the place of prompt `prompt`. Both batches have one shape but for their counts.
  void replace(Index prompt, const Prompts& other, Index from) {
    std::copy_n(other.input(from, 0), points * dimension, inputs.data() + prompt * points * dimension);
    std::copy_n(other.labels.data() + from * points, points, labels.data() + prompt * points);
    std::copy_n(other.targets.data() + from * points, points, targets.data() + prompt * points);
    std::copy_n(other.tokens.begin() + from * prefix, prefix, tokens.begin() + prompt * prefix);
  }

  bool operator==(const Prompts&) const = default;
};

INCONTEXT_NAMESPACE_END
