#include "incontext/optim/rate.hpp"

#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::rate;
using incontext_tests::example_buffer;
using incontext_tests::updated;
using incontext_tests::visited;

namespace {

// A schedule of one's own.
struct Halving {
  double operator()(Index step) const { return std::ldexp(1.0, -static_cast<int>(step)); }
  [[nodiscard]] std::string describe() const { return "halving"; }
};

}  // namespace

TEST_CASE_TEMPLATE("a rate multiplies by minus the schedule", Scalar, float, double) {
  const auto gradient = example_buffer<Scalar>(Key{1});
  CHECK(updated(rate(0.25), gradient, gradient, 17) == Scalar(-0.25) * gradient);
  for (Index step = 0; step < 5; ++step) {
    CHECK(updated(rate(Halving{}), gradient, gradient, step) ==
          static_cast<Scalar>(-std::ldexp(1.0, -static_cast<int>(step))) * gradient);
    CHECK(updated(rate(incontext::linear_warmup(0.1, 4)), gradient, gradient, step) ==
          static_cast<Scalar>(-incontext::linear_warmup(0.1, 4)(step)) * gradient);
  }
}

TEST_CASE("a rate describes its schedule and keeps nothing") {
  CHECK(rate(0.001).describe() == "rate(constant(0.001))");
  CHECK(rate(incontext::cosine(0.5, 100, 10)).describe() == "rate(cosine(0.5, 100, 10))");
  CHECK(rate(Halving{}).describe() == "rate(halving)");
  CHECK(visited(rate(0.1)).empty());
  CHECK_THROWS_AS((void)rate(-0.1), ConfigurationError);
}
