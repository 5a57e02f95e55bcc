#include "incontext/core/ziggurat.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using incontext::detail::gaussian;
using incontext::detail::Ziggurat;
using incontext::detail::ziggurat;

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

}  // namespace

TEST_CASE("gaussian is exp(-x^2 / 2) to 1e-14 where the ziggurat needs it") {
  double furthest = 0.0;
  for (int step = -41'000; step <= 41'000; ++step) {
    const double x = 1e-4 * step;
    furthest = (std::max)(furthest, std::abs(gaussian(x) / std::exp(-0.5 * x * x) - 1.0));
  }
  CHECK(furthest < 1e-14);
  CHECK(gaussian(0.0) == 1.0);
}

TEST_CASE("the ziggurat's layers lie under the density, have one area, and end at its peak") {
  const Ziggurat& layers = ziggurat();
  const double root = std::sqrt(2.0);
  // The tail's integral is sqrt(pi / 2) erfc(r / sqrt(2)).
  const double tail = std::sqrt(2.0 * std::atan(1.0)) * std::erfc(Ziggurat::tail / root);
  const double base = Ziggurat::tail * std::exp(-0.5 * Ziggurat::tail * Ziggurat::tail) + tail;
  CHECK(std::abs(base / Ziggurat::area - 1.0) < 1e-13);
  CHECK(std::abs(layers.edge[0] * layers.height[1] / Ziggurat::area - 1.0) <= 2.0 * epsilon);
  CHECK(layers.edge[1] == Ziggurat::tail);
  CHECK(layers.height.front() == 0.0);
  CHECK(layers.height.back() == 1.0);
  CHECK(layers.edge.back() == 0.0);
  double furthest = 0.0;
  double unequal = 0.0;
  for (std::size_t layer = 1; layer < Ziggurat::layers; ++layer) {
    REQUIRE(layers.edge[layer + 1] < layers.edge[layer]);
    const double density = std::exp(-0.5 * layers.edge[layer] * layers.edge[layer]);
    furthest = (std::max)(furthest, std::abs(layers.height[layer] / density - 1.0));
    const double area = layers.edge[layer] * (layers.height[layer + 1] - layers.height[layer]);
    unequal = (std::max)(unequal, std::abs(area / Ziggurat::area - 1.0));
  }
  CHECK(furthest < 2e-14);
  // The uppermost layer takes the sum of the others' roundings: 1000 of epsilon / 2, to an area of 0.0012.
  CHECK(unequal < 1000.0 * 0.5 * epsilon / Ziggurat::area);
}

TEST_CASE("of the ziggurat's points, one in 234 is not decided by its layer alone") {
  const Ziggurat& layers = ziggurat();
  double decided = 0.0;
  for (std::size_t layer = 0; layer < Ziggurat::layers; ++layer) {
    decided += layers.edge[layer + 1] / layers.edge[layer] / static_cast<double>(Ziggurat::layers);
  }
  CHECK(decided == doctest::Approx(1.0 - 1.0 / 234.0).epsilon(1e-5));
}
