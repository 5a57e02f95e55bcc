#include "incontext/map/scale_labels.hpp"

#include "../task/same_bits.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<ScaleLabels>);

namespace {

Prompts sample_prompts() { return LinearRegression{{.dimension = 3, .points = 4, .noise = 0.5}}.sample(Key(1), 50); }

}  // namespace

TEST_CASE("ScaleLabels: multiplies labels and targets and nothing else") {
  const Prompts prompts = sample_prompts();
  Prompts expected = prompts;
  expected.labels = 2.5 * prompts.labels;
  expected.targets = 2.5 * prompts.targets;
  CHECK(same_bits(ScaleLabels{2.5}.apply(prompts), expected));
}

TEST_CASE("law 1: invert . apply is the identity, for ScaleLabels") {
  const Prompts prompts = sample_prompts();
  for (const double gamma : {1.0, 2.0, -4.0, 0.125}) {
    const ScaleLabels map{gamma};
    CHECK(same_bits(map.invert(map.apply(prompts)), prompts));
    CHECK(same_bits(map.invert_predictions(map.apply(prompts).labels, prompts), prompts.labels));
  }
  for (const double gamma : {1.5, 3.0, -0.1, 1e6}) {
    const ScaleLabels map{gamma};
    const Prompts back = map.invert(map.apply(prompts));
    // A product and a quotient, each rounded by at most half an epsilon.
    const double epsilon = std::numeric_limits<double>::epsilon();
    CHECK(((back.labels - prompts.labels).array().abs() <= epsilon * prompts.labels.array().abs()).all());
    CHECK(((back.targets - prompts.targets).array().abs() <= epsilon * prompts.targets.array().abs()).all());
    CHECK(same_bits(map.invert_predictions(map.apply(prompts).labels, prompts), back.labels));
    CHECK(same_bits(back.inputs, prompts.inputs));
  }
}

TEST_CASE("ScaleLabels: errors name the value") {
  CHECK_THROWS_WITH_AS(ScaleLabels{0.0}, doctest::Contains("gamma is 0"), ConfigurationError);
  CHECK_THROWS_WITH_AS(ScaleLabels{std::numeric_limits<double>::infinity()}, doctest::Contains("inf"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(ScaleLabels{std::numeric_limits<double>::quiet_NaN()}, doctest::Contains("nan"),
                       ConfigurationError);
}
