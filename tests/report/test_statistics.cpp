#include "incontext/report/statistics.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace incontext;

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

}  // namespace

TEST_CASE("mean, standard deviation and standard error of a small example") {
  const std::vector<double> values = {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0};  // squared deviations sum to 32
  CHECK(mean(values) == 5.0);
  CHECK(standard_deviation(values) == std::sqrt(32.0 / 7.0));
  CHECK(standard_error(values) == std::sqrt(32.0 / 7.0) / std::sqrt(8.0));
  CHECK(std::isnan(standard_error(std::vector<double>{1.0})));
  CHECK_THROWS_AS(static_cast<void>(mean(std::vector<double>{})), ShapeError);
}

TEST_CASE("quantiles lie linearly between order statistics") {
  const std::vector<double> sorted = {1.0, 2.0, 4.0, 8.0, 16.0};
  CHECK(quantile(sorted, 0.0) == 1.0);
  CHECK(quantile(sorted, 0.25) == 2.0);
  CHECK(quantile(sorted, 0.375) == 3.0);
  CHECK(quantile(sorted, 1.0) == 16.0);
  CHECK(quantile(std::vector<double>{7.0}, 0.3) == 7.0);
  CHECK_THROWS_AS(static_cast<void>(quantile(sorted, 1.1)), ConfigurationError);
}

TEST_CASE("a line is found again, and its residuals are orthogonal to it") {
  Stream stream(Key{2});
  std::vector<double> x(50);
  std::vector<double> exact(50);
  std::vector<double> noisy(50);
  for (std::size_t point = 0; point < x.size(); ++point) {
    x[point] = stream.normal();
    exact[point] = 3.0 - 2.0 * x[point];
    noisy[point] = exact[point] + stream.normal();
  }
  // Sums of 50 terms of size at most about 10 lose at most 50 * 10 epsilon.
  const double tolerance = 500.0 * epsilon;
  const LineFit fit = fit_line(x, exact);
  CHECK(std::abs(fit.slope + 2.0) < tolerance);
  CHECK(std::abs(fit.intercept - 3.0) < tolerance);
  CHECK(std::abs(fit.correlation + 1.0) < tolerance);
  CHECK(fit.slope_error < tolerance);

  const LineFit noisy_fit = fit_line(x, noisy);
  double residual_sum = 0.0;
  double residual_along_x = 0.0;
  for (std::size_t point = 0; point < x.size(); ++point) {
    const double residual = noisy[point] - noisy_fit.intercept - noisy_fit.slope * x[point];
    residual_sum += residual;
    residual_along_x += residual * x[point];
  }
  CHECK(std::abs(residual_sum) < 50.0 * tolerance);
  CHECK(std::abs(residual_along_x) < 50.0 * tolerance);
  CHECK(std::abs(noisy_fit.correlation) < 1.0);
  // By hand: the line is y = 1 + x/2 and leaves 1/2, -1, 1/2, so the error is sqrt(1.5 / 1 / 2).
  const LineFit three = fit_line(std::vector<double>{-1.0, 0.0, 1.0}, std::vector<double>{1.0, 0.0, 2.0});
  CHECK(std::abs(three.slope - 0.5) < tolerance);
  CHECK(std::abs(three.slope_error - std::sqrt(0.75)) < tolerance);
  CHECK(std::isnan(fit_line(std::vector<double>{0.0, 1.0}, std::vector<double>{0.0, 1.0}).slope_error));
  CHECK(std::isnan(pearson_correlation(x, std::vector<double>(50, 1.0))));
  CHECK_THROWS_AS(static_cast<void>(fit_line(x, std::vector<double>(49))), ShapeError);
}

TEST_CASE("Spearman's correlation asks for the order alone") {
  const std::vector<double> x = {3.0, 1.0, 2.0, 5.0, 4.0};
  std::vector<double> rising;
  std::vector<double> falling;
  for (const double value : x) {
    rising.push_back(std::exp(value * value));
    falling.push_back(-value * value * value);
  }
  CHECK(std::abs(spearman_correlation(x, rising) - 1.0) < 10.0 * epsilon);
  CHECK(std::abs(spearman_correlation(x, falling) + 1.0) < 10.0 * epsilon);
  CHECK(pearson_correlation(x, rising) < 0.9);
  // 1 - 6 sum d^2 / (n (n^2 - 1)) without ties: ranks 1 2 3 4 5 against 2 1 4 3 5 have sum d^2 = 4.
  CHECK(std::abs(spearman_correlation(std::vector<double>{1, 2, 3, 4, 5}, std::vector<double>{20, 10, 40, 30, 50}) -
                 0.8) < 10.0 * epsilon);
}

TEST_CASE("equal values share the mean of their ranks") {
  CHECK(ranks(std::vector<double>{10.0, 20.0, 10.0, 30.0, 10.0}) == std::vector<double>{2.0, 4.0, 2.0, 5.0, 2.0});
}

TEST_CASE("bins keep every point once, and their means average to the whole") {
  Stream stream(Key{3});
  std::vector<double> x(103);
  std::vector<double> y(103);
  stream.fill_normal(x.begin(), x.end());
  stream.fill_normal(y.begin(), y.end());
  const BinnedMeans bins = binned_means(x, y, 103);
  double sum = 0.0;
  for (const double value : bins.y) {
    sum += value;
  }
  CHECK(std::abs(sum / 103.0 - mean(y)) < 103.0 * epsilon);
  CHECK(std::is_sorted(bins.x.begin(), bins.x.end()));

  const BinnedMeans whole = binned_means(x, y, 1);
  CHECK(std::abs(whole.y[0] - mean(y)) < 103.0 * epsilon);
  CHECK(std::abs(whole.standard_error[0] - standard_error(y)) < 103.0 * epsilon);

  const BinnedMeans pairs = binned_means(std::vector<double>{4, 1, 3, 2}, std::vector<double>{40, 10, 30, 20}, 2);
  CHECK(pairs.x == std::vector<double>{1.5, 3.5});
  CHECK(pairs.y == std::vector<double>{15.0, 35.0});
  CHECK_THROWS_AS(static_cast<void>(binned_means(x, y, 104)), ConfigurationError);
}
