#include "incontext/optim/adam.hpp"

#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using incontext::Adam;
using incontext::adam;
using incontext::AdamSettings;
using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
using incontext_tests::visited;

TEST_CASE_TEMPLATE("Adam follows algorithm 1 of its paper", Scalar, float, double) {
  for (const AdamSettings& settings : {AdamSettings{}, AdamSettings{.first_decay = 0.0},
                                       AdamSettings{.first_decay = 0.5, .second_decay = 0.9, .epsilon = 1e-3}}) {
    const Adam transform(settings);
    auto state = transform.template init<Scalar>(incontext_tests::example_layout());
    const auto size = static_cast<std::size_t>(incontext_tests::example_layout()->size());
    std::vector<double> m(size, 0.0);
    std::vector<double> v(size, 0.0);
    for (Index step = 0; step < 20; ++step) {
      ParameterBuffer<Scalar> updates = example_buffer<Scalar>(Key{1}.fold(step), 0.1);
      const ParameterBuffer<double> gradient = updates.template cast<double>();
      transform.update(updates, example_buffer<Scalar>(Key{2}), step, state);
      for (std::size_t index = 0; index < size; ++index) {
        const double g = gradient.values()[index];
        m[index] = settings.first_decay * m[index] + (1.0 - settings.first_decay) * g;
        v[index] = settings.second_decay * v[index] + (1.0 - settings.second_decay) * g * g;
        const double time = static_cast<double>(step + 1);
        const double m_hat = m[index] / (1.0 - std::pow(settings.first_decay, time));
        const double v_hat = v[index] / (1.0 - std::pow(settings.second_decay, time));
        const double expected = m_hat / (std::sqrt(v_hat) + settings.epsilon);
        // A moment is a sum of at most 20 terms, each of which is rounded a few times every step: at most 100 roundings
        // of numbers as large as the largest gradient met so far, some four standard deviations of which were scaled to
        // the order of one by the division. `1 - decay` is rounded to Scalar: at 0.999 no more than its epsilon.
        const double bound = 100.0 * 4.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
        CHECK(std::abs(static_cast<double>(updates.values()[index]) - expected) <= bound);
      }
    }
  }
}

TEST_CASE("the first step of Adam is the sign of the gradient, whatever its size") {
  for (const double scale : {1e-3, 1.0, 1e6}) {
    const auto gradient = example_buffer<double>(Key{3}, scale);
    const auto update = incontext_tests::updated(adam({.epsilon = 1e-30}), gradient, gradient);
    for (const incontext::ParameterEntry& entry : gradient.layout().entries()) {
      for (Index index = entry.offset; index < entry.offset + entry.size; ++index) {
        // Two moments, two corrections, a root and a quotient: some ten roundings.
        CHECK(std::abs(update.data()[index] - (gradient.data()[index] > 0.0 ? 1.0 : -1.0)) <= 1e-14);
      }
    }
  }
}

TEST_CASE("what lies between the tensors stays zero") {
  const auto update = incontext_tests::updated(adam(), example_buffer<float>(Key{4}), example_buffer<float>(Key{5}));
  ParameterBuffer<float> padding = update;
  for (const incontext::ParameterEntry& entry : update.layout().entries()) {
    std::fill(padding.data() + entry.offset, padding.data() + entry.offset + entry.size, 0.0F);
  }
  CHECK(padding == ParameterBuffer<float>(update.shared_layout()));
}

TEST_CASE("Adam shows both moments, and says what it is") {
  CHECK(visited(adam()) == std::vector<std::string>{"adam.first_moment", "adam.second_moment"});
  CHECK(adam().describe() == "adam(0.9, 0.999, 1e-08)");
  // The moments shown are those in use.
  const Adam transform;
  auto state = transform.init<double>(incontext_tests::example_layout());
  ParameterBuffer<double> updates = example_buffer<double>(Key{6});
  const ParameterBuffer<double> gradient = updates;
  transform.update(updates, gradient, 0, state);
  transform.visit(state, [&](std::string_view name, ParameterBuffer<double>& buffer) {
    const double g = gradient.data()[0];
    CHECK(buffer.data()[0] == doctest::Approx(name == "adam.first_moment" ? 0.1 * g : 0.001 * g * g).epsilon(1e-14));
  });
}

TEST_CASE("settings of Adam that make no sense are refused") {
  CHECK_THROWS_WITH_AS((void)adam({.first_decay = 1.0}), "adam: first_decay is 1, expected within [0, 1)",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((void)adam({.second_decay = -0.1}), "adam: second_decay is -0.1, expected within [0, 1)",
                       ConfigurationError);
  CHECK_THROWS_AS((void)adam({.second_decay = std::nan("")}), ConfigurationError);
  CHECK_THROWS_WITH_AS((void)adam({.epsilon = 0.0}), "adam: epsilon is 0, expected a finite number above 0",
                       ConfigurationError);
}
