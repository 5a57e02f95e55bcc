#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

#include <Eigen/QR>

using namespace incontext;

static_assert(RestrictableTask<LinearRegression>);

TEST_CASE("LinearRegression: the weights are independent N(0, tau^2)") {
  const Index count = 4000;
  const Index dimension = 3;
  const double scale = 1.5;
  // Without noise, as many points as coordinates determine the weights.
  const LinearRegression task{{.dimension = dimension, .points = dimension + 2, .weight_scale = scale}};
  const Prompts prompts = task.sample(Key(11), count);
  RowMatrix<double> weights(count, dimension);
  for (Index prompt = 0; prompt < count; ++prompt) {
    const Eigen::MatrixXd inputs = prompts.inputs_of(prompt);
    weights.row(prompt) = inputs.householderQr().solve(prompts.targets.row(prompt).transpose()).transpose();
  }
  // Standard errors: tau/sqrt(n) for a mean, tau^2 sqrt(2/n) for a variance and tau^2/sqrt(n) for a covariance.
  const auto samples = static_cast<double>(count);
  const Vector mean = weights.colwise().mean().transpose();
  CHECK(mean.cwiseAbs().maxCoeff() < 5.0 * scale / std::sqrt(samples));
  const RowMatrix<double> covariance = weights.transpose() * weights / samples;
  const RowMatrix<double> deviation = covariance - scale * scale * RowMatrix<double>::Identity(dimension, dimension);
  CHECK(deviation.cwiseAbs().maxCoeff() < 5.0 * scale * scale * std::sqrt(2.0 / samples));
}

TEST_CASE("LinearRegression: targets have the variance that prior and inputs give them") {
  const Index dimension = 5;
  const LinearRegression task{{.dimension = dimension, .points = 1, .noise = 0.5, .weight_scale = 2.0}};
  const Prompts prompts = task.sample(Key(12), 20000);
  // E[(w.x)^2] = tau^2 d. Its square has mean tau^4 E[3 |x|^4] = 3 tau^4 d (d + 2), so the variance of (w.x)^2 is
  // tau^4 (3 d (d + 2) - d^2).
  const double expected = 4.0 * dimension;
  const double variance = 16.0 * (3.0 * dimension * (dimension + 2) - dimension * dimension);
  const double estimate = prompts.targets.squaredNorm() / 20000.0;
  CHECK(std::abs(estimate - expected) < 5.0 * std::sqrt(variance / 20000.0));
}
