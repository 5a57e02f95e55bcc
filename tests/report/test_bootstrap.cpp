#include "incontext/report/bootstrap.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

using namespace incontext;

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

std::vector<double> normal_values(Key key, Index count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  Stream(key).fill_normal(values.begin(), values.end());
  return values;
}

/// Simpson's rule on Student's density: independent of the sum that the library uses.
double integrated_probability(double t, double degrees) {
  const double log_constant = std::lgamma(0.5 * (degrees + 1.0)) - std::lgamma(0.5 * degrees) -
                              0.5 * std::log(degrees * 3.14159265358979323846);
  const auto density = [&](double x) {
    return std::exp(log_constant - 0.5 * (degrees + 1.0) * std::log1p(x * x / degrees));
  };
  constexpr int intervals = 2000;
  const double step = t / intervals;
  double sum = density(0.0) + density(t);
  for (int point = 1; point < intervals; ++point) {
    sum += (point % 2 == 1 ? 4.0 : 2.0) * density(step * point);
  }
  return 2.0 * sum * step / 3.0;
}

}  // namespace

TEST_CASE("Student's probability agrees with its integral and closed forms") {
  for (const Index degrees : {1, 2, 3, 4, 5, 9, 10, 30, 101}) {
    for (const double t : {0.1, 1.0, 2.0, 4.0}) {
      // Simpson's error is at most step^4 t / 180 times the fourth derivative, which stays below 8, on both sides of 0:
      // 2 (4 / 2000)^4 (4 / 180) 8 = 6e-12. Rounding adds some epsilon.
      CHECK(std::abs(student_probability(t, degrees) - integrated_probability(t, static_cast<double>(degrees))) <
            1e-11);
    }
  }
  for (const double level : {0.5, 0.9, 0.95, 0.999}) {
    // One degree is Cauchy's distribution, tan(pi level / 2); with two, level = t / sqrt(2 + t^2). The quantile is as
    // ill-conditioned as 1 / (1 - level).
    const double tolerance = 20.0 * epsilon / (1.0 - level);
    const double cauchy = std::tan(0.5 * 3.14159265358979323846 * level);
    const double two = level * std::sqrt(2.0 / (1.0 - level * level));
    CHECK(std::abs(student_quantile(level, 1) / cauchy - 1.0) < tolerance);
    CHECK(std::abs(student_quantile(level, 2) / two - 1.0) < tolerance);
  }
}

TEST_CASE("Student's quantiles are those of the printed tables") {
  // Two-sided 95% and 99%, as printed to three decimals in any table.
  CHECK(std::abs(student_quantile(0.95, 4) - 2.776) < 0.0005);
  CHECK(std::abs(student_quantile(0.95, 9) - 2.262) < 0.0005);
  CHECK(std::abs(student_quantile(0.95, 30) - 2.042) < 0.0005);
  CHECK(std::abs(student_quantile(0.99, 4) - 4.604) < 0.0005);
  CHECK(std::abs(student_quantile(0.99, 60) - 2.660) < 0.0005);
  CHECK(std::abs(student_quantile(0.95, 100000) - 1.960) < 0.0005);
  CHECK_THROWS_AS(static_cast<void>(student_quantile(1.0, 4)), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(student_quantile(0.95, 0)), ConfigurationError);
}

TEST_CASE("Student's interval covers the mean as often as it says") {
  constexpr int experiments = 3000;
  int covered = 0;
  for (int experiment = 0; experiment < experiments; ++experiment) {
    covered += student_interval(normal_values(Key{4}.fold(experiment), 5), 0.9).contains(0.0) ? 1 : 0;
  }
  const double standard_error_of_coverage = std::sqrt(0.9 * 0.1 / experiments);
  CHECK(std::abs(covered / double{experiments} - 0.9) < 3.0 * standard_error_of_coverage);
}

TEST_CASE("the percentile bootstrap covers the mean as often as theory says") {
  // For a mean of n normal values its half-width is close to 1.96 s sqrt((n-1)/n) / sqrt(n), so that it covers as often
  // as Student's t with n - 1 degrees stays below 1.96 sqrt((n-1)/n): 92.9% at n = 20 and 84.6% at n = 5. With 400
  // replicates the ends wander by some hundredths of their width, which costs under 0.3%; sums of 5 values have
  // lighter tails than normal, which costs under 2%.
  constexpr int experiments = 600;
  for (const auto& [seeds, allowance] : {std::pair<Index, double>{20, 0.003}, {5, 0.02}}) {
    const Index count = seeds;
    int covered = 0;
    for (int experiment = 0; experiment < experiments; ++experiment) {
      const Key key = Key{5}.fold(count).fold(experiment);
      const std::vector<double> values = normal_values(key.fold("values"), count);
      covered += bootstrap_interval(values, key, {.replicates = 400}).contains(0.0) ? 1 : 0;
    }
    const double size = static_cast<double>(count);
    const double expected = student_probability(1.959964 * std::sqrt((size - 1.0) / size), count - 1);
    const double tolerance = allowance + 3.0 * std::sqrt(expected * (1.0 - expected) / experiments);
    CAPTURE(count);
    CHECK(std::abs(covered / double{experiments} - expected) < tolerance);
  }
}

TEST_CASE("intervals shift and scale with the values") {
  const std::vector<double> values = normal_values(Key{6}, 8);
  const Key key{7};
  const BootstrapSettings settings{.replicates = 500};
  const Interval bootstrap = bootstrap_interval(values, key, settings);
  const Interval student = student_interval(values);
  for (const double scale : {4.0, 1.7, -3.3}) {
    for (const double shift : {0.0, 11.0}) {
      std::vector<double> moved;
      for (const double value : values) {
        moved.push_back(shift + scale * value);
      }
      // Sums of eight values of size at most |shift| + 3 |scale|, and a few operations after them.
      const double tolerance = 16.0 * epsilon * (std::abs(shift) + 3.0 * std::abs(scale));
      const auto agrees = [&](const Interval& before, const Interval& after) {
        CHECK(std::abs(after.estimate - (shift + scale * before.estimate)) < tolerance);
        CHECK(std::abs(after.low - (shift + scale * (scale > 0.0 ? before.low : before.high))) < tolerance);
        CHECK(std::abs(after.high - (shift + scale * (scale > 0.0 ? before.high : before.low))) < tolerance);
      };
      agrees(bootstrap, bootstrap_interval(moved, key, settings));
      agrees(student, student_interval(moved));
    }
  }
}

TEST_CASE("a key names its interval, and a higher level contains a lower one") {
  const std::vector<double> values = normal_values(Key{8}, 6);
  const BootstrapSettings settings{.replicates = 300};
  const Interval first = bootstrap_interval(values, Key{9}, settings);
  const Interval again = bootstrap_interval(values, Key{9}, settings);
  const Interval other = bootstrap_interval(values, Key{10}, settings);
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK(first.low != other.low);
  CHECK(first.estimate == mean(values));
  const Interval wider = bootstrap_interval(values, Key{9}, {.level = 0.99, .replicates = 300});
  CHECK(wider.low < first.low);
  CHECK(wider.high > first.high);
}

TEST_CASE("one seed gives an estimate and no interval") {
  const std::vector<double> one = {3.5};
  for (const Interval& interval : {bootstrap_interval(one, Key{}), student_interval(one)}) {
    CHECK(interval.estimate == 3.5);
    CHECK_FALSE(interval.has_interval());
    CHECK_FALSE(interval.contains(3.5));
    CHECK_FALSE(interval.is_above(0.0));
    CHECK_FALSE(interval.is_below(10.0));
  }
  const Interval same = bootstrap_interval(std::vector<double>{2.0, 2.0, 2.0}, Key{}, {.replicates = 10});
  CHECK(same.low == 2.0);
  CHECK(same.high == 2.0);
  CHECK(same.is_above(1.0));
  CHECK(same.is_below(3.0));
}

TEST_CASE("any statistic of the seeds has an interval") {
  const std::vector<double> x = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0};
  const std::vector<double> y = {1.1, 1.9, 3.2, 3.9, 5.1, 6.2};
  const auto slope = [&](const std::vector<Index>& chosen) {
    std::vector<double> chosen_x;
    std::vector<double> chosen_y;
    for (const Index seed : chosen) {
      chosen_x.push_back(x[static_cast<std::size_t>(seed)]);
      chosen_y.push_back(y[static_cast<std::size_t>(seed)]);
    }
    return fit_line(chosen_x, chosen_y).slope;  // NaN where all chosen are the same
  };
  const Interval interval = bootstrap_interval(6, slope, Key{11}, {.replicates = 2000});
  CHECK(interval.estimate == fit_line(x, y).slope);
  CHECK(interval.contains(interval.estimate));
  CHECK(interval.is_above(0.5));
  CHECK(interval.is_below(1.5));

  const auto nothing = [](const std::vector<Index>&) { return std::nan(""); };
  CHECK_FALSE(bootstrap_interval(6, nothing, Key{11}, {.replicates = 10}).has_interval());
}

TEST_CASE("settings that make no sense are refused") {
  const std::vector<double> values = {1.0, 2.0};
  CHECK_THROWS_AS(static_cast<void>(bootstrap_interval(std::vector<double>{}, Key{})), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(bootstrap_interval(values, Key{}, {.level = 1.0})), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(bootstrap_interval(values, Key{}, {.replicates = 0})), ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(student_interval(std::vector<double>{})), ConfigurationError);
}
