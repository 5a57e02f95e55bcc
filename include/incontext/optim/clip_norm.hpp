#pragma once
/// \file
/// Clipping by global norm (Pascanu, Mikolov, Bengio 2013).

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// The sum of squares, in double.
template <class Scalar>
[[nodiscard]] double sum_of_squares(const Scalar* values, Index size) {
  // Sums side by side, added at the end: a fixed order that the compiler can vectorise, and several registers of them,
  // so that an addition does not wait for the one before.
  constexpr Index together = 64;
  double sums[together] = {};
  const Index whole = size / together * together;
  const auto add = [&](Index first, Index count) {
    for (Index lane = 0; lane < count; ++lane) {
      const auto value = static_cast<double>(values[first + lane]);
      sums[lane] += value * value;
    }
  };
  for (Index first = 0; first < whole; first += together) {
    add(first, together);
  }
  add(whole, size - whole);
  double total = 0.0;
  for (const double sum : sums) {
    total += sum;
  }
  return total;
}

}  // namespace detail

/// The Euclidean norm of all parameters together, summed in double: slice by slice, and these in order.
template <class Scalar>
[[nodiscard]] double global_norm(const ParameterBuffer<Scalar>& buffer, ExecutorReference executor = {}) {
  std::array<double, most_slices> sums{};
  for_each_slice(executor, buffer.size(), [&](Index first, Index last, Index slice) {
    sums[static_cast<std::size_t>(slice)] = detail::sum_of_squares(buffer.data() + first, last - first);
  });
  double total = 0.0;
  for (const double sum : sums) {
    total += sum;
  }
  return std::sqrt(total);
}

/// Scales the updates down to `norm` when their global norm is larger.
class ClipNorm : public StatelessTransform {
 public:
  /// \throws ConfigurationError unless norm is positive and finite
  explicit ClipNorm(double norm) : norm_(norm) {
    require(std::isfinite(norm) && norm > 0.0, "clip_norm: norm is ", norm, ", expected a finite number above 0");
  }
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index, State<Scalar>&,
              ExecutorReference executor = {}) const {
    const double norm = global_norm(updates, executor);
    if (norm > norm_) {
      scale(updates, static_cast<Scalar>(norm_ / norm), executor);
    }
  }
  [[nodiscard]] std::string describe() const { return text("clip_norm(", norm_, ")"); }

 private:
  double norm_;
};

/// Clips the global norm of the gradient.
[[nodiscard]] inline ClipNorm clip_norm(double norm) { return ClipNorm(norm); }

INCONTEXT_NAMESPACE_END
