#pragma once
/// Claims of a study: what was expected of a number before the run, and what the seeds say.

#include <incontext/report/bootstrap.hpp>
#include <incontext/report/number.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace studies {

using namespace incontext;

/// What was expected of an estimate before the run.
enum class Expected {
  positive,  ///< above zero
  negative,  ///< below zero
  small,     ///< within the claim's bound
  open,      ///< the sources disagree: measured, not claimed
};

/// One claim: its estimate for a seed, from the table.
struct Claim {
  std::string number;
  std::string statement;
  Expected expected = Expected::positive;
  std::string study;
  std::function<double(std::uint64_t)> estimate;
  double bound = 0.0;  ///< for `small`: the largest size that holds
};

/// A mean over seeds with Student's interval; its exactness for few seeds is why the figures use it.
inline Interval over_seeds(const std::vector<std::uint64_t>& seeds,
                           const std::function<double(std::uint64_t)>& estimate) {
  std::vector<double> values;
  for (const std::uint64_t seed : seeds) {
    values.push_back(estimate(seed));
  }
  return values.size() > 1 ? student_interval(values) : Interval{.estimate = values.front()};
}

/// "[0.12, 0.34]", or a dash for a single seed.
inline std::string interval_text(const Interval& interval) {
  return interval.has_interval() ? "[" + significant_text(interval.low) + ", " + significant_text(interval.high) + "]"
                                 : "-";
}

/// What was expected. Any claim has `expected` and `bound`.
template <class AnyClaim>
std::string expected_text(const AnyClaim& claim) {
  switch (claim.expected) {
    case Expected::positive:
      return "> 0";
    case Expected::negative:
      return "< 0";
    case Expected::small:
      return "at most " + shortest_text(claim.bound);
    default:
      return "open";
  }
}

/// The smallest and the largest size in an interval, or the estimate's where there is none.
inline std::pair<double, double> sizes_of(const Interval& interval) {
  if (!interval.has_interval()) {
    return {std::abs(interval.estimate), std::abs(interval.estimate)};
  }
  const auto [low, high] = std::minmax({std::abs(interval.low), std::abs(interval.high)});
  return {interval.contains(0.0) ? 0.0 : low, high};
}

/// The verdict on a claim. An interval that reaches across zero, or across the bound, decides nothing.
template <class AnyClaim>
std::string verdict(const AnyClaim& claim, const Interval& interval) {
  if (std::isnan(interval.estimate)) {
    return "not measured";
  }
  if (claim.expected == Expected::open) {
    return "measured";
  }
  if (claim.expected == Expected::small) {
    const auto [least, largest] = sizes_of(interval);
    return largest <= claim.bound ? "held" : least > claim.bound ? "not held" : "undecided";
  }
  const double sign = claim.expected == Expected::positive ? 1.0 : -1.0;
  if (!interval.has_interval()) {
    return sign * interval.estimate > 0.0 ? "expected sign (one seed)" : "opposite sign (one seed)";
  }
  if (interval.contains(0.0)) {
    return "undecided";
  }
  return sign * interval.estimate > 0.0 ? "held" : "opposite";
}

}  // namespace studies
