#pragma once
/// \file
/// The few statistics that studies need.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The arithmetic mean. \throws ShapeError if there are no values
[[nodiscard]] inline double mean(std::span<const double> values) {
  require<ShapeError>(!values.empty(), "mean: there are no values");
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

/// The square root of the unbiased sample variance; NaN for a single value. \throws ShapeError if there are no values
[[nodiscard]] inline double standard_deviation(std::span<const double> values) {
  const double center = mean(values);
  double sum = 0.0;
  for (const double value : values) {
    sum += (value - center) * (value - center);
  }
  return values.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                           : std::sqrt(sum / static_cast<double>(values.size() - 1));
}

/// The standard error of the mean; NaN for a single value. \throws ShapeError if there are no values
[[nodiscard]] inline double standard_error(std::span<const double> values) {
  return standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

/// The quantile of values in rising order, linear between order statistics (type 7 of Hyndman and Fan 1996).
/// \throws ShapeError if there are no values; ConfigurationError if probability is outside [0, 1]
[[nodiscard]] inline double quantile(std::span<const double> sorted, double probability) {
  require<ShapeError>(!sorted.empty(), "quantile: there are no values");
  require(probability >= 0.0 && probability <= 1.0, "quantile: probability is ", probability, ", expected 0 to 1");
  const double position = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = (std::min)(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// A straight line `intercept + slope x`, and how well it fits.
struct LineFit {
  double slope = 0.0;
  double intercept = 0.0;
  double correlation = 0.0;  ///< Pearson's
  double slope_error = 0.0;  ///< standard error of the slope, from the distances of y; NaN for two points
};

/// The least-squares line of y on x. NaN where x is constant, and the correlation where y is.
/// \throws ShapeError if the sizes differ or there are fewer than two points
[[nodiscard]] inline LineFit fit_line(std::span<const double> x, std::span<const double> y) {
  require<ShapeError>(x.size() == y.size() && x.size() >= 2, "fit_line: ", x.size(), " values of x and ", y.size(),
                      " of y, expected as many of both and at least 2");
  const double mean_x = mean(x);
  const double mean_y = mean(y);
  double sum_xx = 0.0;
  double sum_xy = 0.0;
  double sum_yy = 0.0;
  for (std::size_t point = 0; point < x.size(); ++point) {
    sum_xx += (x[point] - mean_x) * (x[point] - mean_x);
    sum_xy += (x[point] - mean_x) * (y[point] - mean_y);
    sum_yy += (y[point] - mean_y) * (y[point] - mean_y);
  }
  const double slope = sum_xy / sum_xx;
  double sum_squares = 0.0;  // of what the line leaves
  for (std::size_t point = 0; point < x.size(); ++point) {
    const double rest = y[point] - mean_y - slope * (x[point] - mean_x);
    sum_squares += rest * rest;
  }
  const double freedom = static_cast<double>(x.size()) - 2.0;
  const double slope_error =
      freedom > 0.0 ? std::sqrt(sum_squares / freedom / sum_xx) : std::numeric_limits<double>::quiet_NaN();
  return {slope, mean_y - slope * mean_x, sum_xy / (std::sqrt(sum_xx) * std::sqrt(sum_yy)), slope_error};
}

/// Pearson's correlation; NaN where x or y is constant. \throws ShapeError as `fit_line`
[[nodiscard]] inline double pearson_correlation(std::span<const double> x, std::span<const double> y) {
  return fit_line(x, y).correlation;
}

/// The positions 0, ..., n - 1 in the order of rising values; equal values keep their order.
[[nodiscard]] inline std::vector<std::size_t> rising_order(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  for (std::size_t position = 0; position < order.size(); ++position) {
    order[position] = position;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t left, std::size_t right) { return values[left] < values[right]; });
  return order;
}

/// Ranks from 1 up; equal values share the mean of their ranks. The values must not be NaN.
[[nodiscard]] inline std::vector<double> ranks(std::span<const double> values) {
  const std::vector<std::size_t> order = rising_order(values);
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && values[order[last]] == values[order[first]]) {
      ++last;
    }
    for (std::size_t position = first; position < last; ++position) {
      result[order[position]] = 0.5 * static_cast<double>(first + 1 + last);
    }
    first = last;
  }
  return result;
}

/// Spearman's correlation: Pearson's of the ranks. It asks only whether y rises with x. \throws ShapeError as
/// `fit_line`
[[nodiscard]] inline double spearman_correlation(std::span<const double> x, std::span<const double> y) {
  return pearson_correlation(ranks(x), ranks(y));
}

/// Means of points that are near each other in x.
struct BinnedMeans {
  std::vector<double> x{};               ///< the mean of x in each bin
  std::vector<double> y{};               ///< the mean of y in each bin
  std::vector<double> standard_error{};  ///< of that mean of y; NaN in a bin of one point
};

/// Cuts the points, in the order of x, in `bins` bins whose counts differ by at most one. The values of x must not be
/// NaN. \throws ShapeError if the sizes differ; ConfigurationError unless 1 <= bins <= number of points
[[nodiscard]] inline BinnedMeans binned_means(std::span<const double> x, std::span<const double> y, Index bins) {
  require<ShapeError>(x.size() == y.size(), "binned_means: ", x.size(), " values of x and ", y.size(), " of y");
  require(bins >= 1 && bins <= static_cast<Index>(x.size()), "binned_means: bins is ", bins, ", expected 1 to ",
          x.size(), ", the number of points");
  const std::vector<std::size_t> order = rising_order(x);
  const auto bin_count = static_cast<std::size_t>(bins);
  BinnedMeans result;
  for (std::size_t bin = 0; bin < bin_count; ++bin) {
    std::vector<double> bin_x;
    std::vector<double> bin_y;
    for (std::size_t position = bin * order.size() / bin_count; position < (bin + 1) * order.size() / bin_count;
         ++position) {
      bin_x.push_back(x[order[position]]);
      bin_y.push_back(y[order[position]]);
    }
    result.x.push_back(mean(bin_x));
    result.y.push_back(mean(bin_y));
    result.standard_error.push_back(standard_error(bin_y));
  }
  return result;
}

INCONTEXT_NAMESPACE_END
