#pragma once
/// \file
/// How much of each trait a model's answers show.

#include "incontext/core/error.hpp"
#include "incontext/report/statistics.hpp"
#include "incontext/task/trait_regression.hpp"
#include "incontext/task/word_task.hpp"

#include <cstddef>
#include <limits>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What a set of answers shows of traits.
struct TraitExpression {
  /// Of each trait: 0 where answers never show it, 1 where they always do. A regression's may lie beyond: it can
  /// overshoot.
  std::vector<double> traits;
  /// The share of answers that are nearest to showing each set of traits, by its number. Averages hide mixtures: half
  /// of a trait in every answer is not a trait in half of the answers.
  std::vector<double> sets;
  /// How well the task itself is done, whatever traits show: 1 is perfectly.
  double accuracy = 0.0;
};

/// Of the query's predictions p against its plain answers y, fitted as p = slope y + intercept by least squares:
/// (1 - slope) / 2 of the sign trait and intercept / c of the shift. The accuracy is 1 less the mean squared distance
/// to the nearest of the four policies, as a share of the variance of y. The query of the `plain` prompts shows no
/// traits; the predictions are of these, whatever instructions they had.
/// \throws ShapeError if there are fewer than two prompts, or predictions of another shape
[[nodiscard]] inline TraitExpression trait_expression(const TraitRegression& task, const Prompts& plain,
                                                      const Predictions& predictions) {
  require<ShapeError>(plain.count >= 2, "trait_expression: ", plain.count, " prompts, expected at least 2");
  require<ShapeError>(predictions.rows() == plain.count && predictions.cols() == plain.points,
                      "trait_expression: predictions of [", predictions.rows(), ", ", predictions.cols(), "] for [",
                      plain.count, ", ", plain.points, "]");
  const Index query = plain.points - 1;
  const auto count = static_cast<double>(plain.count);
  std::vector<double> answers;
  std::vector<double> predicted;
  for (Index prompt = 0; prompt < plain.count; ++prompt) {
    answers.push_back(plain.targets(prompt, query));
    predicted.push_back(predictions(prompt, query));
  }
  const LineFit line = fit_line(answers, predicted);
  TraitExpression expression;
  expression.traits = {0.5 * (1.0 - line.slope), line.intercept / task.settings().offset};
  expression.sets.assign(4, 0.0);
  double distance = 0.0;
  for (Index prompt = 0; prompt < plain.count; ++prompt) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t nearest = 0;
    for (TraitSet traits = 0; traits < 4; ++traits) {
      const double miss = predictions(prompt, query) - task.shown(plain.targets(prompt, query), traits);
      if (miss * miss < least) {
        least = miss * miss;
        nearest = traits;
      }
    }
    expression.sets[nearest] += 1.0 / count;
    distance += least / count;
  }
  const double deviation = standard_deviation(answers);  // of n - 1; the mean squared distance is of n
  expression.accuracy = 1.0 - distance / (deviation * deviation * (count - 1.0) / count);
  return expression;
}

/// Of free-running answers to queries: the share that shows each trait, of those that say a known word in a valid form;
/// the accuracy is the share of those. A trait that nobody could see, for want of a valid answer, is NaN.
/// \throws ShapeError if the predictions are of another batch
[[nodiscard]] inline TraitExpression trait_expression(const WordTask& task, const TokenBatch& batch,
                                                      const TokenPredictions& predictions) {
  require<ShapeError>(predictions.count == batch.count && predictions.answer == task.answer(),
                      "trait_expression: ", predictions.count, " answers of ", predictions.answer, " tokens for ",
                      batch.count, " queries, expected answers of ", task.answer());
  const std::size_t traits = task.settings().effects.size();
  TraitExpression expression;
  expression.traits.assign(traits, 0.0);
  expression.sets.assign(std::size_t{1} << traits, 0.0);
  double known = 0.0;
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    const WordTask::Reading reading =
        task.read(task.query_of(batch, sequence), predictions.tokens.data() + sequence * predictions.answer);
    if (!reading.is_valid || !reading.is_known) {
      continue;
    }
    known += 1.0;
    expression.sets[reading.traits] += 1.0;
    for (std::size_t trait = 0; trait < traits; ++trait) {
      expression.traits[trait] += shows(reading.traits, static_cast<Index>(trait)) ? 1.0 : 0.0;
    }
  }
  for (std::vector<double>* shares : {&expression.traits, &expression.sets}) {
    for (double& share : *shares) {
      share /= known;
    }
  }
  expression.accuracy = batch.count == 0 ? 0.0 : known / static_cast<double>(batch.count);
  return expression;
}

INCONTEXT_NAMESPACE_END
