#include "incontext/core/choice.hpp"

#include <doctest/doctest.h>

#include <vector>

using incontext::choice_at;

namespace {

std::size_t choose(double place, const std::vector<double>& weights) {
  return choice_at(place, weights.size(), [&](std::size_t number) { return weights[number]; });
}

}  // namespace

TEST_CASE("a place belongs to the share that holds it, its lower end included") {
  const std::vector<double> weights = {0.25, 0.5, 0.25};
  CHECK(choose(0.0, weights) == 0);
  CHECK(choose(0.2, weights) == 0);
  CHECK(choose(0.25, weights) == 1);
  CHECK(choose(0.74, weights) == 1);
  CHECK(choose(0.75, weights) == 2);
  CHECK(choose(0.99, weights) == 2);
}

TEST_CASE("what has no weight is not chosen, not even by what rounding leaves over") {
  const std::vector<double> weights = {0.0, 0.5, 0.0, 0.4, 0.0};
  CHECK(choose(0.0, weights) == 1);
  CHECK(choose(0.5, weights) == 3);
  CHECK(choose(0.95, weights) == 3);
  CHECK(choose(0.5, {0.0, 0.0}) == 0);
}
