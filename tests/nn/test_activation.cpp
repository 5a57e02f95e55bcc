#include "incontext/nn/activation.hpp"

#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <vector>

using incontext::Gelu;
using incontext::Index;
using incontext::transform_row;

namespace {

// As the paper writes it.
long double gelu(long double x) {
  const long double root = std::sqrt(2.0L / 3.14159265358979323846264338327950288L);
  return 0.5L * x * (1.0L + std::tanh(root * (x + 0.044715L * x * x * x)));
}

// An activation as a user would write it, without `value_and_derivative`.
struct Cube {
  template <class Value>
  static Value value(const Value& x) {
    return x * x * x;
  }
  template <class Value>
  static Value derivative(const Value& x) {
    return incontext::constant<Value>(3) * x * x;
  }
};

template <class Scalar>
std::vector<Scalar> grid() {
  std::vector<Scalar> x;
  for (Index step = -900; step <= 900; ++step) {
    x.push_back(static_cast<Scalar>(0.01 * static_cast<double>(step)));
  }
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("GELU is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))", Scalar, float, double) {
  const std::vector<Scalar> x = grid<Scalar>();
  std::vector<Scalar> result(x.size());
  transform_row(
      static_cast<Index>(x.size()), result.data(), [](const auto& value) { return Gelu::value(value); }, x.data());
  for (std::size_t index = 0; index < x.size(); ++index) {
    const long double at = x[index];
    const long double expected = gelu(at);
    const long double argument = 1.6L * std::abs(at) * (1.0L + 0.044715L * at * at);
    // The exponent is a sum of terms of one sign with at most eight roundings, constants included, so exp(-argument)
    // errs by 8 u |argument| and by two epsilon of its own; a sum, a quotient and a product round once each.
    // Where x < 0 the tanh of the reference cancels: it has 1 + tanh to an absolute 2^-64.
    const long double bound = (4.0L * argument + 4.0L) *
                                  static_cast<long double>(std::numeric_limits<Scalar>::epsilon()) *
                                  std::abs(expected) +
                              2e-19L * std::abs(at);
    CHECK(std::abs(static_cast<long double>(result[index]) - expected) <= bound);
  }
}

TEST_CASE("the derivative of GELU agrees with the complex-step derivative") {
  for (const double x : grid<double>()) {
    const double by_step = Gelu::value(std::complex<double>(x, 1e-20)).imag() / 1e-20;
    // The derivative is of order one; where it vanishes, its terms cancel.
    CHECK(std::abs(Gelu::derivative(x) - by_step) <= 1e-14);
  }
}

TEST_CASE_TEMPLATE("GELU and its derivative saturate without overflow", Scalar, float, double) {
  const std::vector<Scalar> x = {Scalar(0), Scalar(50), Scalar(-50), Scalar(1e5), Scalar(-1e5)};
  std::vector<Scalar> value(x.size());
  std::vector<Scalar> derivative(x.size());
  transform_row(
      5, value.data(), [](const auto& at) { return Gelu::value(at); }, x.data());
  transform_row(
      5, derivative.data(), [](const auto& at) { return Gelu::derivative(at); }, x.data());
  CHECK(value == std::vector<Scalar>{0, 50, 0, Scalar(1e5), 0});
  CHECK(derivative == std::vector<Scalar>{Scalar(0.5), 1, 0, 1, 0});
}

TEST_CASE_TEMPLATE("value and derivative together are those apart, on scalars and on vectors", Scalar, float, double) {
  const auto check = [](auto activation) {
    using Activation = decltype(activation);
    const std::vector<Scalar> x = grid<Scalar>();
    const auto count = static_cast<Index>(x.size());
    std::vector<Scalar> value(x.size());
    std::vector<Scalar> derivative(x.size());
    std::vector<Scalar> value_of_both(x.size());
    std::vector<Scalar> derivative_of_both(x.size());
    transform_row(
        count, value.data(), [](const auto& at) { return Activation::value(at); }, x.data());
    transform_row(
        count, derivative.data(), [](const auto& at) { return Activation::derivative(at); }, x.data());
    incontext::for_each_register<Scalar>(count, [&](const auto& lanes, Index index) {
      const auto both = incontext::value_and_derivative<Activation>(lanes.load(x.data() + index));
      lanes.store(both.first, value_of_both.data() + index);
      lanes.store(both.second, derivative_of_both.data() + index);
    });
    CHECK(value_of_both == value);
    CHECK(derivative_of_both == derivative);
    for (const Scalar at : x) {
      const auto both = incontext::value_and_derivative<Activation>(at);
      CHECK(both.first == Activation::value(at));
      CHECK(both.second == Activation::derivative(at));
    }
  };
  check(Gelu{});
  check(Cube{});
}

TEST_CASE_TEMPLATE("of registers in step, both have the bits of each alone, whether an activation takes them or not",
                   Scalar, float, double) {
  static_assert(incontext::goes_in_step<Gelu> && !incontext::goes_in_step<Cube>);
  const auto check = [](auto activation) {
    using Activation = decltype(activation);
    using Several = incontext::SideBySide<Scalar, 4>;
    const std::vector<Scalar> x = grid<Scalar>();
    constexpr Index count = 4 * incontext::batch_size<Scalar>;
    std::vector<Scalar> in_step[3];
    std::vector<Scalar> alone[3];
    for (int result = 0; result < 3; ++result) {
      in_step[result] = alone[result] = std::vector<Scalar>(static_cast<std::size_t>(count));
    }
    for (Index first = 0; first + count <= static_cast<Index>(x.size()); first += count) {
      const auto several = Several::load(x.data() + first);
      const auto both = incontext::value_and_derivative<Activation>(several);
      Several::store(both.first, in_step[0].data());
      Several::store(both.second, in_step[1].data());
      Several::store(incontext::value_of<Activation>(several), in_step[2].data());
      incontext::for_each_register<Scalar>(count, [&](const auto& lanes, Index index) {
        const auto one = lanes.load(x.data() + first + index);
        const auto both_of_one = incontext::value_and_derivative<Activation>(one);
        lanes.store(both_of_one.first, alone[0].data() + index);
        lanes.store(both_of_one.second, alone[1].data() + index);
        lanes.store(incontext::value_of<Activation>(one), alone[2].data() + index);
      });
      for (int result = 0; result < 3; ++result) {
        CHECK(in_step[result] == alone[result]);
      }
    }
  };
  check(Gelu{});
  check(Cube{});
}

TEST_CASE("an activation without `value_and_derivative` is asked for one and the other") {
  const auto both = incontext::value_and_derivative<Cube>(2.0);
  CHECK(both.first == 8.0);
  CHECK(both.second == 12.0);
  const auto complex = incontext::value_and_derivative<Cube>(std::complex<double>(0.0, 1.0));
  CHECK(complex.first == std::complex<double>(0.0, -1.0));
  CHECK(complex.second == std::complex<double>(-3.0, 0.0));
}
