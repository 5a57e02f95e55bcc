#include "incontext/task/pool.hpp"

#include "incontext/task/linear_regression.hpp"
#include "same_bits.hpp"

#include <doctest/doctest.h>

#include <Eigen/QR>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(RestrictableTask<Pool>);

namespace {

/// The row of the pool that a noiseless prompt comes from, or -1.
Index pool_row(const Pool& task, const Prompts& prompts, Index prompt) {
  const Eigen::MatrixXd inputs = prompts.inputs_of(prompt);
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> decomposition(inputs);
  const Vector weight = decomposition.solve(prompts.targets.row(prompt).transpose());
  Index nearest = 0;
  const double distance = (task.weights().rowwise() - weight.transpose()).rowwise().norm().minCoeff(&nearest);
  // Forward error of least squares on consistent data: condition number x epsilon x size, with a factor of 100 for the
  // dimension. |R_00 / R_dd| of a pivoted QR estimates the condition number from below, within a small factor.
  const auto diagonal = decomposition.matrixQR().diagonal();
  const double condition = std::abs(diagonal[0] / diagonal[diagonal.size() - 1]);
  return distance <= 100.0 * condition * 2.2e-16 * weight.norm() ? nearest : -1;
}

}  // namespace

TEST_CASE("pool: prompts have weights of the pool only, and each equally often") {
  const Index tasks = 8;
  const Index count = 4000;
  const Pool task = pool(LinearRegression{{.dimension = 3, .points = 6, .noise = 0.5}}, tasks, Key(1));
  const Prompts prompts = task.sample(Key(2), count);
  std::vector<double> drawn(tasks, 0.0);
  for (Index prompt = 0; prompt < count; ++prompt) {
    const Index row = pool_row(task, prompts, prompt);
    REQUIRE(row >= 0);
    drawn[static_cast<std::size_t>(row)] += 1.0;
  }
  const double expected = static_cast<double>(count) / static_cast<double>(tasks);
  double chi_square = 0.0;
  for (const double number : drawn) {
    chi_square += (number - expected) * (number - expected) / expected;
  }
  // Chi-square with 7 degrees of freedom exceeds 40.5 with probability 1e-6.
  CHECK(chi_square < 40.5);
}

TEST_CASE("pool: everything but the weights is that of the task it was drawn from") {
  LinearSettings settings{.dimension = 3, .points = 6, .noise = 0.5, .weight_scale = 2.0};
  settings.input_factor = 2.0 * RowMatrix<double>::Identity(3, 3);
  const LinearRegression broad{settings};
  const Pool narrow = pool(broad, 4, Key(1));
  CHECK(narrow.settings().noise == 0.5);
  const Prompts from_broad = broad.sample(Key(3), 10);
  const Prompts from_narrow = narrow.sample(Key(3), 10);
  CHECK(same_bits(from_narrow.inputs, from_broad.inputs));
  CHECK_FALSE(from_narrow.targets == from_broad.targets);
  CHECK(pool(broad.restricted({.dimension = 2, .points = 4}), 4, Key(1)).extent() ==
        Extent{.dimension = 2, .points = 4});
}

TEST_CASE("pool: the weights come from the prior, and a small pool begins a larger one") {
  const Index tasks = 5000;
  const LinearRegression broad{{.dimension = 3, .weight_scale = 2.0}};
  const RowMatrix<double> weights = pool(broad, tasks, Key(4)).weights();
  CHECK(same_bits(pool(broad, 64, Key(4)).weights(), weights.topRows(64)));
  CHECK_FALSE(pool(broad, 64, Key(5)).weights() == weights.topRows(64));
  // Standard errors as for the weights of LinearRegression.
  const auto samples = static_cast<double>(tasks);
  CHECK(weights.colwise().mean().cwiseAbs().maxCoeff() < 5.0 * 2.0 / std::sqrt(samples));
  const RowMatrix<double> covariance = weights.transpose() * weights / samples;
  const RowMatrix<double> deviation = covariance - 4.0 * RowMatrix<double>::Identity(3, 3);
  CHECK(deviation.cwiseAbs().maxCoeff() < 5.0 * 4.0 * std::sqrt(2.0 / samples));
}

TEST_CASE("pool: sampling is pure and prefix-stable") {
  const Pool task = pool(LinearRegression{{.dimension = 3, .points = 5, .noise = 0.5}}, 4, Key(1));
  const Prompts batch = task.sample(Key(7), 20);
  CHECK(same_bits(batch, task.sample(Key(7), 20)));
  CHECK(same_bits(batch.slice(0, 11), task.sample(Key(7), 11)));
  CHECK(same_bits(task.restricted({.dimension = 3, .points = 2}).sample(Key(7), 20), batch.first_points(2)));
}

TEST_CASE("Pool: explicit weights") {
  RowMatrix<double> weights(1, 2);
  weights << 3.0, -0.5;
  const Pool task{{.dimension = 2, .points = 4}, PoolWeights{weights}};
  CHECK(same_bits(task.weights(), weights));
  const Prompts prompts = task.sample(Key(1), 6);
  for (Index row = 0; row < prompts.inputs.rows(); ++row) {
    // Two products and a sum: three roundings.
    const double first = 3.0 * prompts.inputs(row, 0);
    const double second = -0.5 * prompts.inputs(row, 1);
    CHECK(std::abs(prompts.targets(row / 4, row % 4) - (first + second)) <=
          3 * 2.2e-16 * (std::abs(first) + std::abs(second)));
  }
}

TEST_CASE("pool: errors name the value and what was expected") {
  const LinearRegression broad{{.dimension = 3}};
  CHECK_THROWS_WITH_AS(static_cast<void>(pool(broad, 0, Key(1))), doctest::Contains("number of tasks is 0"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PoolWeights{RowMatrix<double>(0, 3)}, doctest::Contains("0 tasks"), ConfigurationError);
  CHECK_THROWS_AS(PoolWeights{RowMatrix<double>::Constant(2, 3, std::numeric_limits<double>::infinity())},
                  ConfigurationError);
  const PoolWeights weights{RowMatrix<double>::Ones(2, 3)};
  CHECK_THROWS_WITH_AS((Pool{{.dimension = 4}, weights}), doctest::Contains("3 entries for a task of dimension 4"),
                       ShapeError);
}
