#include "incontext/task/noise.hpp"

#include "incontext/task/linear_regression.hpp"
#include "same_bits.hpp"
#include "zeros.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;
using incontext_tests::Zeros;

namespace {

static_assert(Task<NoisyLabels<Zeros>> && !RestrictableTask<NoisyLabels<Zeros>>);
static_assert(RestrictableTask<NoisyLabels<LinearRegression>>);

}  // namespace

TEST_CASE("with_noise: the noise is N(0, sigma^2), independent between points and prompts") {
  const Index count = 5000;
  const RowMatrix<double> noise = with_noise(Zeros{}, 0.5).sample(Key(1), count).labels;
  const auto samples = static_cast<double>(noise.size());
  // Standard errors: sigma/sqrt(n), sigma^2 sqrt(2/n), and sigma^2/sqrt(n) for the products.
  CHECK(std::abs(noise.mean()) < 5.0 * 0.5 / std::sqrt(samples));
  CHECK(std::abs(noise.squaredNorm() / samples - 0.25) < 5.0 * 0.25 * std::sqrt(2.0 / samples));
  const double between_points = noise.col(0).dot(noise.col(1)) / static_cast<double>(count);
  CHECK(std::abs(between_points) < 5.0 * 0.25 / std::sqrt(static_cast<double>(count)));
  const double between_prompts = noise.col(0).head(count - 1).dot(noise.col(0).tail(count - 1)) / (count - 1);
  CHECK(std::abs(between_prompts) < 5.0 * 0.25 / std::sqrt(static_cast<double>(count - 1)));
}

TEST_CASE("with_noise: only the labels depend on the noise") {
  const LinearRegression task{{.dimension = 3, .points = 5, .noise = 0.5}};
  const Prompts silent = with_noise(task, 0.0).sample(Key(2), 10);
  const Prompts noisy = NoisyLabels{task, {.noise = 1.0}}.sample(Key(2), 10);
  CHECK(noisy.key == Key(2));
  CHECK(same_bits(noisy.inputs, silent.inputs));
  CHECK(same_bits(noisy.targets, silent.targets));
  CHECK_FALSE(noisy.labels == silent.labels);
}

TEST_CASE("with_noise: wrappers around each other add independent noise") {
  const Prompts twice = with_noise(with_noise(Zeros{}, 3.0), 4.0).sample(Key(3), 5000);
  const auto samples = static_cast<double>(twice.labels.size());
  // 9 + 16; the same noise twice would give 49.
  CHECK(std::abs(twice.labels.squaredNorm() / samples - 25.0) < 5.0 * 25.0 * std::sqrt(2.0 / samples));
}

TEST_CASE("with_noise: sampling is pure, prefix-stable and restrictable") {
  const auto task = with_noise(LinearRegression{{.dimension = 3, .points = 5, .noise = 0.5}}, 0.5);
  const Prompts batch = task.sample(Key(7), 20);
  CHECK(same_bits(batch, task.sample(Key(7), 20)));
  CHECK(same_bits(batch.slice(0, 11), task.sample(Key(7), 11)));
  CHECK(same_bits(task.restricted(task.extent()).sample(Key(7), 20), batch));
  CHECK(same_bits(task.restricted({.dimension = 3, .points = 2}).sample(Key(7), 20), batch.first_points(2)));
}

TEST_CASE("with_noise: errors name the value") {
  CHECK_THROWS_WITH_AS(static_cast<void>(with_noise(Zeros{}, -1.5)), doctest::Contains("noise is -1.5"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((NoisyLabels{Zeros{}, {.noise = std::numeric_limits<double>::infinity()}}),
                       doctest::Contains("noise is inf"), ConfigurationError);
}
