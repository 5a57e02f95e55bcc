#include "incontext/optim/momentum.hpp"

#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::momentum;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
using incontext_tests::visited;

TEST_CASE_TEMPLATE("the velocity is the sum of the gradients, discounted by age", Scalar, float, double) {
  const auto transform = momentum(0.75);
  auto state = transform.template init<Scalar>(incontext_tests::example_layout());
  for (Index step = 0; step < 10; ++step) {
    ParameterBuffer<Scalar> updates = example_buffer<Scalar>(Key{1}.fold(step));
    transform.update(updates, example_buffer<Scalar>(Key{2}), step, state);
    for (Index index = 0; index < updates.size(); ++index) {
      double expected = 0.0;
      double magnitude = 0.0;
      for (Index past = 0; past <= step; ++past) {
        const double gradient = static_cast<double>(example_buffer<Scalar>(Key{1}.fold(past)).data()[index]);
        const double term = std::pow(0.75, static_cast<double>(step - past)) * gradient;
        expected += term;
        magnitude += std::abs(term);
      }
      // Every term is rounded at most twice a step.
      const double bound =
          static_cast<double>(step + 1) * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * magnitude;
      CHECK(std::abs(static_cast<double>(updates.data()[index]) - expected) <= bound);
    }
  }
}

TEST_CASE("momentum of zero is plain gradient descent") {
  const auto transform = momentum(0.0);
  auto state = transform.init<float>(incontext_tests::example_layout());
  for (Index step = 0; step < 3; ++step) {
    ParameterBuffer<float> updates = example_buffer<float>(Key{1}.fold(step));
    transform.update(updates, updates, step, state);
    CHECK(updates == example_buffer<float>(Key{1}.fold(step)));
  }
}

TEST_CASE("momentum shows its velocity, says what it is, and refuses a decay that makes no sense") {
  CHECK(visited(momentum(0.9)) == std::vector<std::string>{"momentum.velocity"});
  CHECK(momentum(0.9).describe() == "momentum(0.9)");
  CHECK_THROWS_WITH_AS((void)momentum(1.0), "momentum: decay is 1, expected within [0, 1)", ConfigurationError);
  CHECK_THROWS_AS((void)momentum(-0.1), ConfigurationError);
  CHECK_THROWS_AS((void)momentum(std::nan("")), ConfigurationError);
}
