#include "incontext/task/mixture.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/pool.hpp"
#include "same_bits.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

namespace {

/// Every label is the given number, so that a prompt tells which task it comes from. No extent.
struct Constant {
  double label = 0.0;
  Index points = 3;
  Index dimension = 2;
  [[nodiscard]] Prompts sample(Key key, Index count) const {
    Prompts prompts(count, points, dimension);
    prompts.key = key;
    prompts.labels.setConstant(label);
    for (Index prompt = 0; prompt < count; ++prompt) {
      prompts.targets.row(prompt).setConstant(static_cast<double>(prompt));  // its place in the batch of the component
    }
    return prompts;
  }
};

static_assert(Task<Mixture<Constant, LinearRegression>> && !RestrictableTask<Mixture<Constant, LinearRegression>>);
static_assert(RestrictableTask<Mixture<LinearRegression, Pool>>);

const LinearRegression broad{{.dimension = 3, .points = 5, .noise = 0.5}};
const Pool narrow = pool(broad, 4, Key(1));

}  // namespace

TEST_CASE("Mixture: prompts come from the tasks in the given proportions") {
  const Mixture mixture{{1.0, 3.0, 0.0, 4.0}, Constant{0.0}, Constant{1.0}, Constant{2.0}, Constant{3.0}};
  CHECK(mixture.weights() == std::vector<double>{0.125, 0.375, 0.0, 0.5});
  const Index count = 8000;
  const Prompts prompts = mixture.sample(Key(2), count);
  const std::vector<Index> components = mixture.components(Key(2), count);
  std::vector<double> share(4, 0.0);
  for (Index prompt = 0; prompt < count; ++prompt) {
    const auto component = static_cast<std::size_t>(components[static_cast<std::size_t>(prompt)]);
    REQUIRE((prompts.labels.row(prompt).array() == static_cast<double>(component)).all());
    // The j-th prompt of a component is the j-th of that component's batch.
    REQUIRE(prompts.targets(prompt, 0) == share[component]);
    share[component] += 1.0;
  }
  CHECK(share[2] == 0.0);
  for (std::size_t component = 0; component < 4; ++component) {
    // Standard error of a binomial share.
    const double weight = mixture.weights()[component];
    const double error = std::sqrt(weight * (1.0 - weight) / static_cast<double>(count));
    CHECK(std::abs(share[component] / static_cast<double>(count) - weight) <= 5.0 * error);
  }
}

TEST_CASE("mix: alpha is the weight of the narrow task") {
  const auto mixture = mix(Constant{0.0}, 0.2, Constant{1.0});
  const Index count = 8000;
  const double share = mixture.sample(Key(3), count).labels.col(0).mean();
  CHECK(std::abs(share - 0.2) < 5.0 * std::sqrt(0.2 * 0.8 / static_cast<double>(count)));
  CHECK(mix(Constant{0.0}, 0.0, Constant{1.0}).sample(Key(3), 500).labels.maxCoeff() == 0.0);
  CHECK(mix(Constant{0.0}, 1.0, Constant{1.0}).sample(Key(3), 500).labels.minCoeff() == 1.0);
}

TEST_CASE("Mixture: sampling is pure and prefix-stable") {
  const auto mixture = mix(broad, 0.5, narrow);
  const Prompts batch = mixture.sample(Key(7), 30);
  CHECK(batch.key == Key(7));
  CHECK(same_bits(batch, mixture.sample(Key(7), 30)));
  for (const Index count : {0, 1, 13, 29}) {
    CHECK(same_bits(batch.slice(0, count), mixture.sample(Key(7), count)));
  }
}

TEST_CASE("Mixture: components share no random numbers, nor do mixtures of mixtures") {
  const auto twice = mix(broad, 0.5, broad);
  const Prompts prompts = mix(twice, 0.5, twice).sample(Key(7), 40);
  std::vector<double> first(prompts.inputs.data(), prompts.inputs.data() + prompts.inputs.size());
  std::sort(first.begin(), first.end());
  CHECK(std::adjacent_find(first.begin(), first.end()) == first.end());
}

TEST_CASE("Mixture: restricting restricts every component and keeps the choice") {
  const auto mixture = mix(broad, 0.5, narrow);
  CHECK(mixture.extent() == broad.extent());
  CHECK(same_bits(mixture.restricted(mixture.extent()).sample(Key(7), 30), mixture.sample(Key(7), 30)));
  const auto shorter = mixture.restricted({.dimension = 3, .points = 2});
  CHECK(shorter.extent() == Extent{.dimension = 3, .points = 2});
  CHECK(same_bits(shorter.sample(Key(7), 30), mixture.sample(Key(7), 30).first_points(2)));
  const Prompts flat = mixture.restricted({.dimension = 1, .points = 5}).sample(Key(7), 30);
  CHECK((flat.inputs.rightCols(2).array() == 0.0).all());
  CHECK(same_bits(flat.inputs.leftCols(1), mixture.sample(Key(7), 30).inputs.leftCols(1)));
}

TEST_CASE("Mixture: instruction tokens go with their prompt") {
  const auto mixture = mix(Constant{0.0} | PrefixTokens{{4, 5}}, 0.5, Constant{1.0} | PrefixTokens{{6, 7}});
  const Prompts prompts = mixture.sample(Key(8), 50);
  REQUIRE(prompts.prefix == 2);
  REQUIRE(prompts.tokens.size() == 100);
  for (Index prompt = 0; prompt < 50; ++prompt) {
    const int expected = prompts.labels(prompt, 0) == 0.0 ? 4 : 6;
    CHECK(prompts.tokens[static_cast<std::size_t>(2 * prompt)] == expected);
    CHECK(prompts.tokens[static_cast<std::size_t>(2 * prompt + 1)] == expected + 1);
  }
}

TEST_CASE("Mixture: errors name the value and what was expected") {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(static_cast<void>(mix(broad, 1.5, narrow)), doctest::Contains("alpha is 1.5"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(mix(broad, not_a_number, narrow)), doctest::Contains("alpha is nan"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((Mixture{{0.5, -0.25}, broad, narrow}), doctest::Contains("weight 1 is -0.25"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((Mixture{{0.0, 0.0}, broad, narrow}), doctest::Contains("sum to 0"), ConfigurationError);
  CHECK_THROWS_WITH_AS((Mixture{{1e308, 1e308}, broad, narrow}), doctest::Contains("inf"), ConfigurationError);
  CHECK_THROWS_WITH_AS((Mixture{{0.5, 0.25, 0.25}, broad, narrow}), doctest::Contains("3 weights for 2 tasks"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(mix(broad, 0.5, narrow).sample(Key(1), -2)), doctest::Contains("count is -2"),
                       ConfigurationError);
  // What restrictable tasks say is checked at once, the rest with the first prompts, whatever is drawn.
  const LinearRegression longer{{.dimension = 3, .points = 6}};
  CHECK_THROWS_WITH_AS(static_cast<void>(mix(broad, 0.5, longer)), doctest::Contains("6 points"), ShapeError);
  const auto misfit = mix(Constant{}, 0.0, Constant{.label = 1.0, .points = 4});
  CHECK_THROWS_WITH_AS(static_cast<void>(misfit.sample(Key(1), 1)), doctest::Contains("4 points"), ShapeError);
  const auto cued = mix(broad, 0.0, narrow | PrefixTokens{{1}});
  CHECK_THROWS_WITH_AS(static_cast<void>(cued.sample(Key(1), 1)), doctest::Contains("1 instruction tokens"),
                       ShapeError);
}
