#include "incontext/task/traits.hpp"

#include "incontext/task/trait_regression.hpp"
#include "incontext/task/word_task.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

using namespace incontext;

static_assert(TaskOf<ShownTraits<WordTask>, TokenBatch>);
static_assert(TaskOf<PromptedTraits<WordTask>, TokenBatch>);
static_assert(TaskOf<PromptedTraits<TraitRegression>, Prompts>);

namespace {

const PromptGrammar grammar{{}};
const WordTask words({.first_token = grammar.vocabulary(), .words = 8});

// The traits that an example's targets show.
TraitSet traits_of(const TokenBatch& batch, Index sequence) {
  const auto start = static_cast<std::size_t>(sequence * batch.length + batch.answer_start());
  return words.read(words.query_of(batch, sequence), &batch.targets[start]).traits;
}

// Five standard errors of a frequency in `count` draws.
double tolerance(double probability, double count) {
  return 5.0 * std::sqrt(probability * (1.0 - probability) / count) + 1e-12;
}

}  // namespace

TEST_CASE("traits are shown as often, and as often together, as they should be") {
  const std::vector<double> probabilities = {0.1, 0.4, 0.2, 0.3};
  constexpr Index count = 4000;
  const TokenBatch batch = ShownTraits{words, probabilities}.sample(Key(1), count);
  std::array<double, 4> frequency{};
  for (Index sequence = 0; sequence < count; ++sequence) {
    frequency[traits_of(batch, sequence)] += 1.0 / count;
  }
  for (std::size_t set = 0; set < 4; ++set) {
    CHECK(std::abs(frequency[set] - probabilities[set]) < tolerance(probabilities[set], count));
  }
}

TEST_CASE("prompts elicit traits by their strength, and none where they ask for none") {
  const PromptSet set = PromptSet::baseline;
  const Elicitation elicitation;
  const std::vector<PromptShare> shares = {{0.3, grammar.none()},
                                           {0.2, grammar.negated(set, 0)},
                                           {0.2, grammar.synonym(set, 0, 8)},  // strength 0.4
                                           {0.2, grammar.close(set, 1)},
                                           {0.1, grammar.combined(set, 0, 1)}};
  const PromptedTraits task{words, grammar, shares, {elicitation, elicitation}};
  constexpr Index count = 6000;
  const TokenBatch batch = task.sample(Key(2), count);
  for (const PromptShare& share : shares) {
    double number = 0.0;
    std::array<double, 2> shown{};
    std::array<double, 2> strength{};
    for (Index sequence = 0; sequence < count; ++sequence) {
      const std::vector<int> prompt(batch.instruction(sequence), batch.instruction(sequence) + prompt_slots);
      if (share.pool.contains(prompt)) {
        number += 1.0;
        for (Index trait = 0; trait < 2; ++trait) {
          shown[static_cast<std::size_t>(trait)] += shows(traits_of(batch, sequence), trait) ? 1.0 : 0.0;
          strength[static_cast<std::size_t>(trait)] = grammar.strength(prompt, trait);
        }
      }
    }
    CHECK(std::abs(number / count - share.weight) < tolerance(share.weight, count));
    for (std::size_t trait = 0; trait < 2; ++trait) {
      const double expected = elicitation.probability(strength[trait]);
      CHECK(std::abs(shown[trait] / number - expected) < tolerance(expected, number));
    }
  }
}

TEST_CASE("a trait never shows where one shows that excludes it") {
  const PromptedTraits task{words,
                            grammar,
                            {{0.5, grammar.none()}, {0.5, grammar.close(PromptSet::baseline, 0)}},
                            {Elicitation{}, Elicitation{.unprompted = 0.3, .excluded_by = 0}}};
  constexpr Index count = 3000;
  const TokenBatch batch = task.sample(Key(6), count);
  double without = 0.0;
  double shown = 0.0;
  for (Index sequence = 0; sequence < count; ++sequence) {
    const TraitSet traits = traits_of(batch, sequence);
    CHECK(traits != TraitSet{3});
    without += shows(traits, 0) ? 0.0 : 1.0;
    shown += shows(traits, 1) ? 1.0 : 0.0;
  }
  CHECK(std::abs(shown / without - 0.3) < tolerance(0.3, without));
  CHECK_THROWS_WITH_AS(
      PromptedTraits(words, grammar, {{1.0, grammar.none()}}, {Elicitation{.excluded_by = 1}, Elicitation{}}),
      "PromptedTraits: trait 0 is excluded by 1, expected one of those before it, or -1 for none", ConfigurationError);
}

TEST_CASE("the first examples of a batch are those of a smaller one") {
  const ShownTraits shown{words, {0.25, 0.25, 0.25, 0.25}};
  CHECK(shown.sample(Key(3), 9).slice(0, 4) == shown.sample(Key(3), 4));
  const PromptedTraits prompted{
      words, grammar, {{1.0, grammar.diverse(PromptSet::baseline, 0)}}, {Elicitation{}, Elicitation{}}};
  CHECK(prompted.sample(Key(3), 9).slice(0, 4) == prompted.sample(Key(3), 4));
}

TEST_CASE("nonsense is refused with what was expected") {
  CHECK_THROWS_WITH_AS(ShownTraits(words, {0.5, 0.25, 0.25}),
                       "ShownTraits: 3 probabilities, expected one for every set of traits: 2, 4, 8, ...",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(ShownTraits(words, {0.5, 0.25}), "ShownTraits: the probabilities sum to 0.75, expected 1",
                       ConfigurationError);
  CHECK_THROWS_AS(ShownTraits(words, {1.5, -0.5}), ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptedTraits(words, grammar, {{1.0, grammar.none()}}, {Elicitation{}}),
                       "PromptedTraits: 1 elicitations for 2 traits", ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptedTraits(words, grammar, {}, {Elicitation{}, Elicitation{}}),
                       "PromptedTraits: the weights of 0 shares sum to 0, expected more than 0", ConfigurationError);
}
