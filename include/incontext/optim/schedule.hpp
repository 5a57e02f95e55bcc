#pragma once
/// \file
/// Learning-rate schedules: a number for every step.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// A function from the number of steps done to a learning rate.
template <class Type>
concept Schedule = std::copy_constructible<Type> && requires(const Type& schedule, Index step) {
  { schedule(step) } -> std::convertible_to<double>;
  { schedule.describe() } -> std::convertible_to<std::string>;
};

namespace detail {

inline void check_rate(const char* schedule, double rate) {
  require(std::isfinite(rate) && rate >= 0.0, schedule, ": the learning rate is ", rate,
          ", expected a finite number of at least 0");
}

}  // namespace detail

/// The same rate at every step.
class Constant {
 public:
  explicit Constant(double rate) : rate_(rate) { detail::check_rate("constant", rate); }
  double operator()(Index) const { return rate_; }
  [[nodiscard]] std::string describe() const { return text("constant(", rate_, ")"); }

 private:
  double rate_;
};

/// Rises from rate / steps to `rate` over the first `steps` steps, and stays there.
class LinearWarmup {
 public:
  LinearWarmup(double rate, Index steps) : rate_(rate), steps_(steps) {
    detail::check_rate("linear_warmup", rate);
    require_at_least("linear_warmup", "steps", steps, 1);
  }
  double operator()(Index step) const {
    return rate_ * static_cast<double>((std::min)(step + 1, steps_)) / static_cast<double>(steps_);
  }
  [[nodiscard]] std::string describe() const { return text("linear_warmup(", rate_, ", ", steps_, ")"); }

 private:
  double rate_;
  Index steps_;
};

/// Linear warm-up to `rate`, then half a cosine down to zero at `steps` (Loshchilov and Hutter 2017).
class Cosine {
 public:
  Cosine(double rate, Index steps, Index warmup = 0) : rate_(rate), steps_(steps), warmup_(warmup) {
    detail::check_rate("cosine", rate);
    require_at_least("cosine", "steps", steps, 1);
    require(warmup >= 0 && warmup < steps, "cosine: warmup is ", warmup, ", expected within [0, ", steps, ")");
  }
  double operator()(Index step) const {
    if (step < warmup_) {
      return rate_ * static_cast<double>(step + 1) / static_cast<double>(warmup_);
    }
    const double done = static_cast<double>((std::min)(step, steps_) - warmup_) / static_cast<double>(steps_ - warmup_);
    return 0.5 * rate_ * (1.0 + std::cos(3.14159265358979323846 * done));
  }
  [[nodiscard]] std::string describe() const { return text("cosine(", rate_, ", ", steps_, ", ", warmup_, ")"); }

 private:
  double rate_;
  Index steps_;
  Index warmup_;
};

/// Linear from zero up to `rate` at `peak`, linear down to zero at `steps`.
class Triangle {
 public:
  Triangle(double rate, Index steps, Index peak) : rate_(rate), steps_(steps), peak_(peak) {
    detail::check_rate("triangle", rate);
    require_at_least("triangle", "steps", steps, 2);
    require(peak >= 1 && peak < steps, "triangle: peak is ", peak, ", expected within [1, ", steps, ")");
  }
  double operator()(Index step) const {
    const double up = static_cast<double>(step + 1) / static_cast<double>(peak_);
    const double down = static_cast<double>(steps_ - (std::min)(step, steps_)) / static_cast<double>(steps_ - peak_);
    return rate_ * (std::min)(up, (std::min)(down, 1.0));
  }
  [[nodiscard]] std::string describe() const { return text("triangle(", rate_, ", ", steps_, ", ", peak_, ")"); }

 private:
  double rate_;
  Index steps_;
  Index peak_;
};

[[nodiscard]] inline Constant constant_rate(double rate) { return Constant(rate); }
[[nodiscard]] inline LinearWarmup linear_warmup(double rate, Index steps) { return LinearWarmup(rate, steps); }
[[nodiscard]] inline Cosine cosine(double rate, Index steps, Index warmup = 0) { return Cosine(rate, steps, warmup); }
[[nodiscard]] inline Triangle triangle(double rate, Index steps, Index peak) { return Triangle(rate, steps, peak); }

INCONTEXT_NAMESPACE_END
