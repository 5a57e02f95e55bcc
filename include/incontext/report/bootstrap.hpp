#pragma once
/// \file
/// Intervals over seeds.
///
/// Which one? For the mean of few seeds (below about twenty) use `student_interval`: the percentile bootstrap of n
/// values is too narrow, by the factor sqrt((n-1)/n) and for want of Student's heavier tail; at five seeds a nominal
/// 95% covers about 85%. For many seeds, for skewed values, or for a statistic that is no mean (a ratio, a correlation
/// over seeds) use the bootstrap, and say how many seeds there were.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/report/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// An estimate, and the interval that the seeds give it. One seed gives no interval: its bounds are NaN.
struct Interval {
  double estimate = 0.0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();

  [[nodiscard]] bool has_interval() const { return !std::isnan(low) && !std::isnan(high); }
  [[nodiscard]] bool contains(double value) const { return low <= value && value <= high; }
  /// Whether the interval exists and lies wholly above the value.
  [[nodiscard]] bool is_above(double value) const { return low > value; }
  /// Whether the interval exists and lies wholly below the value.
  [[nodiscard]] bool is_below(double value) const { return high < value; }
};

/// How `bootstrap_interval` works.
struct BootstrapSettings {
  double level = 0.95;       ///< of confidence, above 0 and below 1
  Index replicates = 10000;  ///< how often the seeds are drawn again, with replacement
};

namespace detail {

/// \throws ConfigurationError if level or replicates make no sense
inline void check(const char* who, const BootstrapSettings& settings) {
  require(settings.level > 0.0 && settings.level < 1.0, who, ": level is ", settings.level,
          ", expected above 0 and below 1");
  require(settings.replicates >= 1, who, ": replicates is ", settings.replicates, ", expected at least 1");
}

/// An estimate with the quantiles of what `draw()` gives again and again; NaN is left out.
template <class Draw>
[[nodiscard]] Interval percentile_interval(double estimate, const BootstrapSettings& settings, const Draw& draw) {
  Interval interval{.estimate = estimate};
  std::vector<double> replicates;
  replicates.reserve(static_cast<std::size_t>(settings.replicates));
  for (Index replicate = 0; replicate < settings.replicates; ++replicate) {
    const double value = draw();
    if (!std::isnan(value)) {
      replicates.push_back(value);
    }
  }
  if (!replicates.empty()) {
    std::sort(replicates.begin(), replicates.end());
    interval.low = quantile(replicates, 0.5 * (1.0 - settings.level));
    interval.high = quantile(replicates, 0.5 * (1.0 + settings.level));
  }
  return interval;
}

}  // namespace detail

/// The percentile bootstrap (Efron 1979) of any statistic of `count` seeds. `statistic(chosen)` gets the numbers of the
/// chosen seeds, a `const std::vector<Index>&` of that many numbers from 0 to count - 1, and returns a double; the
/// estimate is its value at every seed once. Replicates where it is NaN (a correlation among equal values) are left
/// out. The same key gives the same interval. \throws ConfigurationError if count, level or replicates make no sense
template <class Statistic>
[[nodiscard]] Interval bootstrap_interval(Index count, const Statistic& statistic, Key key,
                                          const BootstrapSettings& settings = {}) {
  require(count >= 1, "bootstrap_interval: count is ", count, ", expected at least 1 seed");
  detail::check("bootstrap_interval", settings);
  std::vector<Index> chosen(static_cast<std::size_t>(count));
  for (std::size_t seed = 0; seed < chosen.size(); ++seed) {
    chosen[seed] = static_cast<Index>(seed);
  }
  const double estimate = statistic(chosen);
  if (count == 1) {
    return {.estimate = estimate};
  }
  Stream stream(key.fold("bootstrap"));
  return detail::percentile_interval(estimate, settings, [&] {
    for (Index& seed : chosen) {
      seed = stream.integer(count);
    }
    return statistic(chosen);
  });
}

/// The percentile bootstrap of the mean of one value for each seed. \throws ConfigurationError as above
[[nodiscard]] inline Interval bootstrap_interval(std::span<const double> values, Key key,
                                                 const BootstrapSettings& settings = {}) {
  const auto mean_of_chosen = [values](const std::vector<Index>& chosen) {
    double sum = 0.0;
    for (const Index seed : chosen) {
      sum += values[static_cast<std::size_t>(seed)];
    }
    return sum / static_cast<double>(chosen.size());
  };
  return bootstrap_interval(static_cast<Index>(values.size()), mean_of_chosen, key, settings);
}

/// The probability that a Student variable of so many degrees of freedom lies within [-t, t], by the finite sum for
/// whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4). Its terms are positive, so it is exact to
/// rounding. \throws ConfigurationError if t is negative or NaN, or there are no degrees of freedom
[[nodiscard]] inline double student_probability(double t, Index degrees_of_freedom) {
  require(t >= 0.0, "student_probability: t is ", t, ", expected at least 0");
  require(degrees_of_freedom >= 1, "student_probability: degrees_of_freedom is ", degrees_of_freedom,
          ", expected at least 1");
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees_of_freedom)));
  const double cosine = std::cos(angle);
  const bool odd = degrees_of_freedom % 2 == 1;
  double term = odd ? cosine : 1.0;
  double sum = 0.0;
  for (Index power = odd ? 1 : 0; power <= degrees_of_freedom - 2; power += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(power + 1) / static_cast<double>(power + 2);
  }
  constexpr double two_over_pi = 0.63661977236758134308;
  return odd ? two_over_pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
}

/// The t whose `student_probability` is `level`: 2.776 for 0.95 and 4 degrees of freedom. By bisection.
/// \throws ConfigurationError if level is not above 0 and below 1, or there are no degrees of freedom
[[nodiscard]] inline double student_quantile(double level, Index degrees_of_freedom) {
  require(level > 0.0 && level < 1.0, "student_quantile: level is ", level, ", expected above 0 and below 1");
  double low = 0.0;
  double high = 1.0;
  while (student_probability(high, degrees_of_freedom) < level && high < 1e150) {
    low = high;
    high *= 2.0;
  }
  for (double middle = 0.5 * (low + high); low < middle && middle < high; middle = 0.5 * (low + high)) {
    (student_probability(middle, degrees_of_freedom) < level ? low : high) = middle;
  }
  return high;
}

/// Student's interval of the mean of one value for each seed: exact where the values are normal, and at few seeds the
/// one to use. \throws ConfigurationError if there are no values or level is not above 0 and below 1
[[nodiscard]] inline Interval student_interval(std::span<const double> values, double level = 0.95) {
  require(!values.empty(), "student_interval: there are no values, expected one for each seed");
  Interval interval{.estimate = mean(values)};
  if (values.size() >= 2) {
    const double margin = student_quantile(level, static_cast<Index>(values.size()) - 1) * standard_error(values);
    interval.low = interval.estimate - margin;
    interval.high = interval.estimate + margin;
  }
  return interval;
}

INCONTEXT_NAMESPACE_END
