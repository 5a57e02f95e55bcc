#pragma once
/// \file
/// The elementwise and rowwise kernels of a transformer. Each works on one contiguous row; each is analytic in its
/// inputs, so that the complex-step derivative passes through it.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"

#include <algorithm>
#include <cmath>
#include <complex>

INCONTEXT_NAMESPACE_BEGIN

/// The real part, for comparisons that complex numbers do not have.
template <class Scalar>
[[nodiscard]] inline auto real_part(const Scalar& value) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    return value;
  } else {
    return value.real();
  }
}

/// target += source.
template <class Scalar>
inline void add_row(Index count, const Scalar* source, Scalar* target) {
  transform_row(
      count, target, [](const auto& left, const auto& right) { return left + right; },
      static_cast<const Scalar*>(target), source);
}

/// target *= factor.
template <class Scalar>
inline void scale_row(Index count, Scalar factor, Scalar* target) {
  transform_row(
      count, target, [factor](const auto& value) { return value * factor; }, static_cast<const Scalar*>(target));
}

/// left += right, matrix by matrix of one shape.
template <class Scalar>
inline void add_matrix(MatrixView<const Scalar> right, MatrixView<Scalar> left) {
  for (Index row = 0; row < left.rows; ++row) {
    add_row(left.columns, right.row(row), left.row(row));
  }
}

/// Adds a row vector, [columns], to every row.
template <class Scalar>
inline void add_bias(const Scalar* bias, MatrixView<Scalar> matrix) {
  for (Index row = 0; row < matrix.rows; ++row) {
    add_row(matrix.columns, bias, matrix.row(row));
  }
}

/// Adds the column sums of a matrix to a row vector: the backward of `add_bias`.
template <class Scalar>
inline void add_column_sums(MatrixView<const Scalar> matrix, Scalar* sums) {
  for (Index row = 0; row < matrix.rows; ++row) {
    add_row(matrix.columns, matrix.row(row), sums);
  }
}

/// exp(value), on scalars, complex numbers and vectors alike.
template <class Value>
[[nodiscard]] inline Value exponential(const Value& value) {
  using std::exp;
  using xsimd::exp;
  if constexpr (xsimd::is_batch<Value>::value) {
    // Beyond these bounds exp is zero or infinite in float and double, and xsimd would convert an exponent that no
    // integer holds. The bounds stand first, so that a NaN stays one.
    return exp(xsimd::max(Value(-1000), xsimd::min(Value(1000), value)));
  } else {
    return exp(value);
  }
}

/// exp(values) / sum(exp(values)) in place over the first `count` of `length` entries; the others become zero.
template <class Scalar>
inline void softmax_row(Index count, Index length, Scalar* values) {
  auto largest = real_part(values[0]);
  for (Index index = 1; index < count; ++index) {
    largest = (std::max)(largest, real_part(values[index]));
  }
  // The maximum is a constant shift: softmax does not change with it, and so neither does its derivative.
  const Scalar shift(largest);
  transform_row(
      count, values, [shift](const auto& value) { return exponential(value - shift); },
      static_cast<const Scalar*>(values));
  const Scalar total = sum_row(
      count, [](const auto& value) { return value; }, static_cast<const Scalar*>(values));
  scale_row(count, Scalar(1) / total, values);
  std::fill(values + count, values + length, Scalar{});
}

/// The logistic function 1 / (1 + exp(-value)).
template <class Value>
[[nodiscard]] inline Value logistic(const Value& value) {
  return constant<Value>(1) / (constant<Value>(1) + exponential(-value));
}

INCONTEXT_NAMESPACE_END
