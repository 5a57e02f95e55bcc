#include "incontext/map/permute_coordinates.hpp"

#include "../task/same_bits.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<PermuteCoordinates>);

namespace {

Prompts sample_prompts(Index dimension) {
  return LinearRegression{{.dimension = dimension, .points = 4, .noise = 0.5}}.sample(Key(1), 6);
}

}  // namespace

TEST_CASE("PermuteCoordinates: coordinate j becomes coordinate order[j], and nothing else changes") {
  const Prompts prompts = sample_prompts(3);
  Prompts mapped = PermuteCoordinates{{2, 0, 1}}.apply(prompts);
  CHECK(mapped.inputs.col(0) == prompts.inputs.col(2));
  CHECK(mapped.inputs.col(1) == prompts.inputs.col(0));
  CHECK(mapped.inputs.col(2) == prompts.inputs.col(1));
  mapped.inputs = prompts.inputs;
  CHECK(same_bits(mapped, prompts));
}

TEST_CASE("law 1: invert . apply is the identity, for PermuteCoordinates") {
  for (const Index dimension : {1, 2, 5, 8}) {
    const Prompts prompts = sample_prompts(dimension);
    const PermuteCoordinates map = PermuteCoordinates::random(dimension, Key(2));
    CHECK(same_bits(map.invert(map.apply(prompts)), prompts));
    CHECK(same_bits(map.apply(map.invert(prompts)), prompts));
    CHECK(same_bits(map.invert(map.apply(prompts.slice(0, 0))), prompts.slice(0, 0)));
    CHECK(same_bits(map.invert_predictions(prompts.labels, prompts), prompts.labels));
  }
}

TEST_CASE("PermuteCoordinates::random: each of the 24 orders of 4 coordinates is equally likely") {
  const int count = 4800;
  std::vector<std::vector<Index>> orders;
  for (int draw = 0; draw < count; ++draw) {
    orders.push_back(PermuteCoordinates::random(4, Key(3).fold(draw)).order());
  }
  std::sort(orders.begin(), orders.end());
  double chi_square = 0.0;
  int kinds = 0;
  for (auto first = orders.begin(); first != orders.end(); ++kinds) {
    const auto last = std::upper_bound(first, orders.end(), *first);
    chi_square += std::pow(static_cast<double>(last - first) - 200.0, 2) / 200.0;
    first = last;
  }
  CHECK(kinds == 24);
  // Chi-square with 23 degrees of freedom exceeds 70.5 with probability 1e-6.
  CHECK(chi_square < 70.5);
}

TEST_CASE("PermuteCoordinates: errors name the value and what was expected") {
  CHECK_THROWS_WITH_AS((PermuteCoordinates{{0, 3, 1}}), doctest::Contains("coordinate 3, expected 0 to 2"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((PermuteCoordinates{{0, -1}}), doctest::Contains("coordinate -1"), ConfigurationError);
  CHECK_THROWS_WITH_AS((PermuteCoordinates{{1, 0, 1}}), doctest::Contains("coordinate 1 is there twice"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PermuteCoordinates{std::vector<Index>{}}, doctest::Contains("dimension is 0"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(PermuteCoordinates::random(0, Key(1))), doctest::Contains("dimension is 0"),
                       ConfigurationError);
  const PermuteCoordinates map{{1, 0}};
  CHECK_THROWS_WITH_AS(static_cast<void>(map.apply(sample_prompts(3))), doctest::Contains("dimension 3"), ShapeError);
  CHECK_THROWS_WITH_AS(static_cast<void>(map.invert(sample_prompts(3))), doctest::Contains("2 coordinates"),
                       ShapeError);
}
