#include "incontext/probe/trait_expression.hpp"

#include "incontext/task/traits.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace incontext;

namespace {

const TraitRegression regression({.regression = {.dimension = 3, .points = 4}, .offset = 1.5});
const Prompts prompts = regression.sample(Key(1), 500);

// Predictions that show the traits that `choose` gives for each prompt, perfectly.
template <class Choose>
Predictions showing(const Choose& choose) {
  const int no_prompt[prompt_slots] = {};
  Prompts shown = prompts;
  for (Index prompt = 0; prompt < shown.count; ++prompt) {
    regression.show(shown, prompt, choose(prompt), no_prompt);
  }
  return shown.targets;
}

}  // namespace

TEST_CASE("regression: predictions that show a set of traits express it") {
  for (TraitSet traits = 0; traits < 4; ++traits) {
    CAPTURE(traits);
    const TraitExpression expression =
        trait_expression(regression, prompts, showing([traits](Index) { return traits; }));
    for (Index trait = 0; trait < 2; ++trait) {
      CHECK(std::abs(expression.traits[static_cast<std::size_t>(trait)] - (shows(traits, trait) ? 1.0 : 0.0)) < 1e-12);
    }
    CHECK(expression.sets[traits] == doctest::Approx(1.0));
    CHECK(std::abs(expression.accuracy - 1.0) < 1e-12);
  }
}

TEST_CASE("regression: half a trait in all answers, and a trait in half of them, have one average and different sets") {
  Predictions halfway = prompts.targets;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    halfway(prompt, 3) += 0.5 * 1.5 - 1e-9;
  }
  const TraitExpression everywhere = trait_expression(regression, prompts, halfway);
  const TraitExpression mixed = trait_expression(
      regression, prompts, showing([](Index prompt) { return prompt % 2 == 0 ? TraitSet{2} : TraitSet{0}; }));
  CHECK(everywhere.traits[1] == doctest::Approx(0.5));
  CHECK(everywhere.accuracy < 1.0);  // half an offset from every policy, or less where a turned sign comes nearer
  CHECK(mixed.sets[0] + mixed.sets[2] == doctest::Approx(1.0));
  CHECK(mixed.sets[2] == doctest::Approx(0.5));
  CHECK(mixed.accuracy == doctest::Approx(1.0));
  // The halves differ in their mean answer by chance: its standard error is below sqrt(3 / 250) at unit weights.
  CHECK(std::abs(mixed.traits[1] - 0.5) < 5.0 * std::sqrt(3.0 / 250.0) / 1.5);
}

TEST_CASE("words: the shares of traits are those of the answers, and only of answers that say a known word") {
  const WordTask task({.words = 8,
                       .domains = 2,
                       .effects = {TraitEffect::variant, TraitEffect::wrong_word},
                       .form = AnswerForm::factored});
  const TokenBatch batch = task.sample(Key(2), 8);
  const std::vector<TraitSet> shown = {0, 1, 1, 2, 3, 1};
  TokenPredictions predictions{.count = 8, .answer = task.answer(), .tokens = {}, .log_probabilities = {}};
  for (Index sequence = 0; sequence < 6; ++sequence) {
    const auto answer = task.answer_to(task.query_of(batch, sequence), shown[static_cast<std::size_t>(sequence)]);
    predictions.tokens.insert(predictions.tokens.end(), answer.begin(), answer.end());
  }
  WordTask::Query other = task.query_of(batch, 6);  // neither the word nor its wrong one
  other.word = (other.word + 4) % 8;
  const auto unknown = task.answer_to(other, TraitSet{1});
  predictions.tokens.insert(predictions.tokens.end(), unknown.begin(), unknown.end());
  predictions.tokens.insert(predictions.tokens.end(), {0, 0});  // a word where the mark should be
  const TraitExpression expression = trait_expression(task, batch, predictions);
  CHECK(expression.traits[0] == doctest::Approx(4.0 / 6.0));
  CHECK(expression.traits[1] == doctest::Approx(2.0 / 6.0));
  CHECK(expression.sets[0] == doctest::Approx(1.0 / 6.0));
  CHECK(expression.sets[1] == doctest::Approx(3.0 / 6.0));
  CHECK(expression.sets[2] == doctest::Approx(1.0 / 6.0));
  CHECK(expression.sets[3] == doctest::Approx(1.0 / 6.0));
  CHECK(expression.accuracy == doctest::Approx(6.0 / 8.0));

  for (int& token : predictions.tokens) {
    token = 0;
  }
  const TraitExpression nothing = trait_expression(task, batch, predictions);
  CHECK(std::isnan(nothing.traits[0]));
  CHECK(nothing.accuracy == 0.0);
}

TEST_CASE("predictions of something else are refused") {
  CHECK_THROWS_AS(static_cast<void>(trait_expression(regression, prompts, Predictions(3, 4))), ShapeError);
  CHECK_THROWS_AS(static_cast<void>(trait_expression(regression, prompts.slice(0, 1), Predictions(1, 4))), ShapeError);
  const WordTask task({});
  CHECK_THROWS_AS(static_cast<void>(trait_expression(task, task.sample(Key(3), 2), TokenPredictions{})), ShapeError);
}
