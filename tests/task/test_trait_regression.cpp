#include "incontext/task/trait_regression.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace incontext;

static_assert(TraitMedium<TraitRegression>);

namespace {

const LinearSettings regression = {.dimension = 3, .points = 5, .noise = 0.5};
constexpr int no_prompt[prompt_slots] = {};

// One prompt, as it is and with traits.
struct Shown {
  Prompts plain;
  Prompts shown;
};
Shown show(const TraitRegression& task, TraitSet traits, const int* prompt = no_prompt) {
  Shown result{task.sample(Key(1), 1), task.sample(Key(1), 1)};
  task.show(result.shown, 0, traits, prompt);
  return result;
}

}  // namespace

TEST_CASE("the query's label and target are (A ? -y : y) + c B, and the exemplars stay") {
  const TraitRegression task({.regression = regression, .offset = 2.0});
  for (TraitSet traits = 0; traits < 4; ++traits) {
    const auto [plain, shown] = show(task, traits);
    const double factor = shows(traits, TraitRegression::sign) ? -1.0 : 1.0;
    const double offset = shows(traits, TraitRegression::shift) ? 2.0 : 0.0;
    CHECK(shown.labels(0, 4) == factor * plain.labels(0, 4) + offset);
    CHECK(shown.targets(0, 4) == factor * plain.targets(0, 4) + offset);
    for (Index point = 0; point < 4; ++point) {
      CHECK(shown.labels(0, point) == plain.labels(0, point));
      CHECK(shown.targets(0, point) == plain.targets(0, point));
    }
    CHECK(shown.inputs == plain.inputs);
  }
}

TEST_CASE("traits in context show in every label") {
  const TraitRegression task({.regression = regression, .offset = 2.0, .traits_in_context = true});
  const auto [plain, shown] = show(task, TraitSet{3});
  for (Index point = 0; point < 5; ++point) {
    CHECK(shown.labels(0, point) == 2.0 - plain.labels(0, point));
  }
}

TEST_CASE("a topic's own effect is kappa (x_1^2 - 1), on the query alone") {
  const TraitRegression task({.regression = regression, .topic_effects = {0.0, 0.0, 0.7}});
  const int prompt[prompt_slots] = {0, 1, 2, 9};  // token 9 is beyond the effects
  const auto [plain, shown] = show(task, TraitSet{0}, prompt);
  const double first = plain.inputs(4, 0);
  CHECK(shown.labels(0, 4) == plain.labels(0, 4) + 0.7 * (first * first - 1.0));
  CHECK(shown.labels(0, 3) == plain.labels(0, 3));
}

TEST_CASE("an offset that cannot be told from none is refused") {
  CHECK_THROWS_WITH_AS(TraitRegression({.regression = regression, .offset = 0.0}),
                       "TraitRegression: offset is 0, expected a finite number above 0", ConfigurationError);
}
