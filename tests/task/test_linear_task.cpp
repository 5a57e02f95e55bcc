#include "incontext/task/linear_task.hpp"

#include "incontext/task/linear_regression.hpp"
#include "same_bits.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

namespace {

/// All weights are the same number: a function class that a user might add.
struct ConstantWeights {
  double value = 1.0;
  [[nodiscard]] Vector draw(Stream&, const LinearSettings& settings) const {
    return Vector::Constant(settings.dimension, value);
  }
};

/// Draws vectors that are too short.
struct ShortWeights {
  [[nodiscard]] Vector draw(Stream&, const LinearSettings& settings) const {
    return Vector::Zero(settings.dimension - 1);
  }
};

/// Refuses everything but even dimensions.
struct EvenWeights : ConstantWeights {
  void check(const LinearSettings& settings) const {
    require(settings.dimension % 2 == 0, "EvenWeights: dimension is ", settings.dimension);
  }
};

static_assert(WeightPrior<GaussianWeights> && WeightPrior<ConstantWeights> && !WeightPrior<double>);
static_assert(Task<LinearTask<ConstantWeights>> && RestrictableTask<LinearTask<ConstantWeights>>);

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();

RowMatrix<double> lower_factor() {
  RowMatrix<double> factor(3, 3);
  factor << 2.0, 0.0, 0.0, 0.5, 1.0, 0.0, -1.0, 0.25, 0.5;
  return factor;
}

}  // namespace

TEST_CASE("LinearTask: a user's prior makes a task, with deduced type") {
  const LinearTask task{{.dimension = 3, .points = 4, .noise = 0.5}, ConstantWeights{2.0}};
  const Prompts prompts = task.sample(Key(1), 5);
  CHECK(prompts.count == 5);
  CHECK(prompts.points == 4);
  CHECK(prompts.dimension == 3);
  CHECK(prompts.prefix == 0);
  CHECK(prompts.tokens.empty());
  CHECK(prompts.key == Key(1));
  CHECK((prompts.inputs.array() != 0.0).all());
  for (Index prompt = 0; prompt < 5; ++prompt) {
    for (Index point = 0; point < 4; ++point) {
      // A sum of 3 terms, each with a rounding of its own: 3 epsilon of the sum of the absolute values.
      const auto input = prompts.inputs.row(prompt * 4 + point);
      const double tolerance = 3 * 2.2e-16 * 2.0 * input.cwiseAbs().sum();
      CHECK(std::abs(prompts.targets(prompt, point) - 2.0 * input.sum()) <= tolerance);
    }
  }
}

TEST_CASE("LinearTask: sampling is pure and prefix-stable") {
  const LinearRegression task{{.dimension = 3, .points = 5, .noise = 0.5, .input_factor = lower_factor()}};
  const Prompts batch = task.sample(Key(7), 20);
  CHECK(same_bits(batch, task.sample(Key(7), 20)));
  for (const Index count : {0, 1, 7, 19}) {
    CHECK(same_bits(batch.slice(0, count), task.sample(Key(7), count)));
  }
  CHECK_FALSE(batch.inputs == task.sample(Key(8), 20).inputs);
}

TEST_CASE("LinearTask: noise, weights and inputs come from streams of their own") {
  const Key key(3);
  const LinearSettings plain{.dimension = 4, .points = 6, .noise = 0.5};
  const Prompts prompts = LinearRegression{plain}.sample(key, 10);

  LinearSettings louder = plain;
  louder.noise = 2.0;
  const Prompts other_noise = LinearRegression{louder}.sample(key, 10);
  CHECK(same_bits(other_noise.inputs, prompts.inputs));
  CHECK(same_bits(other_noise.targets, prompts.targets));
  CHECK_FALSE(other_noise.labels == prompts.labels);

  LinearSettings silent = plain;
  silent.noise = 0.0;
  const Prompts no_noise = LinearRegression{silent}.sample(key, 10);
  CHECK(same_bits(no_noise.labels, prompts.targets));

  const Prompts other_prior = LinearTask{plain, ConstantWeights{}}.sample(key, 10);
  CHECK(same_bits(other_prior.inputs, prompts.inputs));
  // The noise is the difference of labels and targets: rounding of the addition, at most epsilon of the label.
  const RowMatrix<double> noise = prompts.labels - prompts.targets;
  const RowMatrix<double> other = other_prior.labels - other_prior.targets;
  const double largest = prompts.labels.cwiseAbs().maxCoeff() + other_prior.labels.cwiseAbs().maxCoeff() + 10.0;
  CHECK((noise - other).cwiseAbs().maxCoeff() <= 2.2e-16 * largest);
}

TEST_CASE("LinearTask: inputs, noise and points are independent standard normals") {
  const Index count = 4000;
  const Index dimension = 3;
  const Index points = 4;
  const Prompts prompts =
      LinearTask{{.dimension = dimension, .points = points, .noise = 0.7}, ConstantWeights{}}.sample(Key(5), count);
  const auto samples = static_cast<double>(count * points);

  // The mean of n standard normals has standard error 1/sqrt(n), the mean of their products has it too, and the mean
  // of their squares sqrt(2/n). Five standard errors everywhere.
  const Vector mean = prompts.inputs.colwise().mean().transpose();
  CHECK(mean.cwiseAbs().maxCoeff() < 5.0 / std::sqrt(samples));
  const RowMatrix<double> covariance = prompts.inputs.transpose() * prompts.inputs / samples;
  const RowMatrix<double> deviation = covariance - RowMatrix<double>::Identity(dimension, dimension);
  CHECK(deviation.cwiseAbs().maxCoeff() < 5.0 * std::sqrt(2.0 / samples));

  const RowMatrix<double> noise = prompts.labels - prompts.targets;
  CHECK(std::abs(noise.mean()) < 5.0 * 0.7 / std::sqrt(samples));
  CHECK(std::abs(noise.squaredNorm() / samples - 0.49) < 5.0 * 0.49 * std::sqrt(2.0 / samples));

  // Neighbouring points and neighbouring prompts share nothing.
  double between_points = 0.0;
  double between_prompts = 0.0;
  for (Index prompt = 0; prompt + 1 < count; ++prompt) {
    between_points += prompts.inputs(prompt * points, 0) * prompts.inputs(prompt * points + 1, 0);
    between_prompts += prompts.inputs(prompt * points, 0) * prompts.inputs((prompt + 1) * points, 0);
  }
  const auto pairs = static_cast<double>(count - 1);
  CHECK(std::abs(between_points / pairs) < 5.0 / std::sqrt(pairs));
  CHECK(std::abs(between_prompts / pairs) < 5.0 / std::sqrt(pairs));
}

TEST_CASE("LinearTask: inputs have the covariance A A'") {
  const RowMatrix<double> factor = lower_factor();
  const LinearTask task{{.dimension = 3, .points = 4, .input_factor = factor}, ConstantWeights{}};
  const Prompts prompts = task.sample(Key(6), 5000);
  const auto samples = static_cast<double>(prompts.inputs.rows());
  const RowMatrix<double> expected = factor * factor.transpose();
  const RowMatrix<double> estimate = prompts.inputs.transpose() * prompts.inputs / samples;
  for (Index row = 0; row < 3; ++row) {
    CHECK(std::abs(prompts.inputs.col(row).mean()) < 5.0 * std::sqrt(expected(row, row) / samples));
    for (Index column = 0; column < 3; ++column) {
      // The product of two zero-mean normals has variance s_ii s_jj + s_ij^2 (Isserlis).
      const double variance = expected(row, row) * expected(column, column) + std::pow(expected(row, column), 2);
      CHECK(std::abs(estimate(row, column) - expected(row, column)) < 5.0 * std::sqrt(variance / samples));
    }
  }
  // The targets are those of the transformed inputs. Rounding as above.
  const double target = prompts.targets(17, 2);
  const auto input = prompts.inputs.row(17 * 4 + 2);
  CHECK(std::abs(target - input.sum()) <= 3 * 2.2e-16 * input.cwiseAbs().sum());
}

TEST_CASE("LinearTask: the full extent is the identity, bit for bit") {
  for (const auto& factor : {RowMatrix<double>(), lower_factor()}) {
    const LinearRegression task{{.dimension = 3, .points = 5, .noise = 0.5, .input_factor = factor}};
    CHECK(task.extent() == Extent{.dimension = 3, .points = 5});
    CHECK(same_bits(task.restricted(task.extent()).sample(Key(4), 9), task.sample(Key(4), 9)));
  }
}

TEST_CASE("LinearTask: a restricted task is the beginning of the whole one") {
  for (const auto& factor : {RowMatrix<double>(), lower_factor()}) {
    const LinearRegression task{{.dimension = 3, .points = 5, .noise = 0.5, .input_factor = factor}};
    const Prompts whole = task.sample(Key(4), 9);

    const auto shorter = task.restricted({.dimension = 3, .points = 2});
    CHECK(same_bits(shorter.sample(Key(4), 9), whole.first_points(2)));

    const auto narrower = task.restricted({.dimension = 2, .points = 5});
    CHECK(narrower.extent() == Extent{.dimension = 2, .points = 5});
    const Prompts flat = narrower.sample(Key(4), 9);
    CHECK(flat.dimension == 3);
    CHECK(same_bits(flat.inputs.leftCols(2), whole.inputs.leftCols(2)));
    CHECK((flat.inputs.col(2).array() == 0.0).all());
    // Labels follow the zeroed inputs, with the same weights: they do not depend on what was in the last coordinate.
    const LinearTask constant{task.settings(), ConstantWeights{}};
    const Prompts sums = constant.restricted({.dimension = 2, .points = 5}).sample(Key(4), 9);
    for (Index row = 0; row < sums.inputs.rows(); ++row) {
      CHECK(sums.targets(row / 5, row % 5) == sums.inputs(row, 0) + sums.inputs(row, 1));
    }
    CHECK(same_bits(narrower.restricted({.dimension = 1, .points = 2}).sample(Key(4), 9),
                    task.restricted({.dimension = 1, .points = 2}).sample(Key(4), 9)));
  }
}

TEST_CASE("LinearTask: errors name the value and what was expected") {
  CHECK_THROWS_WITH_AS((LinearRegression{{.dimension = 0}}), doctest::Contains("dimension is 0"), ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.points = -3}}), doctest::Contains("points is -3"), ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.noise = -0.25}}), doctest::Contains("-0.25"), ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.noise = not_a_number}}), doctest::Contains("nan"), ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.weight_scale = 0.0}}), doctest::Contains("weight_scale is 0"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.weight_scale = infinity}}), doctest::Contains("inf"), ConfigurationError);
  CHECK_THROWS_WITH_AS((LinearRegression{{.dimension = 4, .input_factor = lower_factor()}}),
                       doctest::Contains("[3, 3], expected [4, 4]"), ShapeError);
  CHECK_THROWS_AS((LinearRegression{{.dimension = 3, .input_factor = not_a_number * lower_factor()}}),
                  ConfigurationError);

  const LinearRegression task{{.dimension = 3, .points = 5}};
  CHECK_THROWS_WITH_AS(static_cast<void>(task.sample(Key(1), -1)), doctest::Contains("count is -1"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(task.restricted({.dimension = 4, .points = 5})),
                       doctest::Contains("dimension is 4"), ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(task.restricted({.dimension = 3, .points = 0})),
                       doctest::Contains("points is 0"), ConfigurationError);

  const LinearTask too_short{{.dimension = 3}, ShortWeights{}};
  CHECK_THROWS_WITH_AS(static_cast<void>(too_short.sample(Key(1), 1)), doctest::Contains("2 weights, expected 3"),
                       ShapeError);
  CHECK_THROWS_WITH_AS((LinearTask{{.dimension = 3}, EvenWeights{}}), doctest::Contains("EvenWeights: dimension is 3"),
                       ConfigurationError);
}
