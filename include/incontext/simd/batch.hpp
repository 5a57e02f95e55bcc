#pragma once
/// \file
/// The shim over xsimd: the one place that knows its renamings, and which scalars have vectors at all.

#include "incontext/core/config.hpp"

#include <xsimd/xsimd.hpp>

#include <cmath>
#include <complex>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

/// Whether kernels use vectors for this scalar; the others (complex numbers in tests) take plain loops.
template <class Scalar>
inline constexpr bool is_vectorised = std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>;

/// A vector register of scalars.
template <class Scalar>
using Batch = xsimd::batch<Scalar>;

/// Scalars in a vector register; 1 for scalars without vectors.
template <class Scalar>
inline constexpr Index batch_size = 1;
template <>
inline constexpr Index batch_size<float> = static_cast<Index>(xsimd::batch<float>::size);
template <>
inline constexpr Index batch_size<double> = static_cast<Index>(xsimd::batch<double>::size);

/// A constant of a formula, as a scalar, a complex number or a vector of copies.
template <class Value>
[[nodiscard]] inline Value constant(double value) {
  if constexpr (std::is_floating_point_v<Value>) {
    return static_cast<Value>(value);
  } else {
    return Value(static_cast<typename Value::value_type>(value));
  }
}

/// The smallest multiple of the batch size that holds `count` scalars: padded rows need no tail loop.
template <class Scalar>
[[nodiscard]] constexpr Index padded(Index count) {
  return (count + batch_size<Scalar> - 1) / batch_size<Scalar> * batch_size<Scalar>;
}

/// The sum over the lanes (`hadd` until xsimd 8, `reduce_add` since 9).
template <class Scalar>
[[nodiscard]] inline Scalar reduce_add(const Batch<Scalar>& values) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(values);
#else
  return xsimd::hadd(values);
#endif
}

/// Applies `operation(value...)` elementwise to rows of `count` scalars and stores the result in `result`, which may
/// be one of the inputs. The tail goes through the same vector code, so a value never depends on where it stands.
template <class Scalar, class Operation, class... Inputs>
inline void transform_row(Index count, Scalar* result, Operation&& operation, const Inputs*... inputs) {
  if constexpr (is_vectorised<Scalar>) {
    constexpr Index lanes = batch_size<Scalar>;
    Index index = 0;
    for (; index + lanes <= count; index += lanes) {
      operation(Batch<Scalar>::load_unaligned(inputs + index)...).store_unaligned(result + index);
    }
    if (index < count) {
      const auto load_tail = [&](const Scalar* input) {
        Scalar values[static_cast<std::size_t>(lanes)] = {};
        for (Index lane = 0; lane < count - index; ++lane) {
          values[lane] = input[index + lane];
        }
        return Batch<Scalar>::load_unaligned(values);
      };
      Scalar values[static_cast<std::size_t>(lanes)];
      operation(load_tail(inputs)...).store_unaligned(values);
      for (Index lane = 0; lane < count - index; ++lane) {
        result[index + lane] = values[lane];
      }
    }
  } else {
    for (Index index = 0; index < count; ++index) {
      result[index] = operation(inputs[index]...);
    }
  }
}

/// The sum of `operation(value...)` over a row.
template <class Scalar, class Operation, class... Inputs>
[[nodiscard]] inline Scalar sum_row(Index count, Operation&& operation, const Scalar* first, const Inputs*... others) {
  Scalar total{};
  Index index = 0;
  if constexpr (is_vectorised<Scalar>) {
    constexpr Index lanes = batch_size<Scalar>;
    Batch<Scalar> sum(Scalar{0});
    for (; index + lanes <= count; index += lanes) {
      sum += operation(Batch<Scalar>::load_unaligned(first + index), Batch<Scalar>::load_unaligned(others + index)...);
    }
    total = reduce_add<Scalar>(sum);
  }
  for (; index < count; ++index) {
    total += operation(first[index], others[index]...);
  }
  return total;
}

INCONTEXT_NAMESPACE_END
