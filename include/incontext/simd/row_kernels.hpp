#pragma once
/// \file
/// The elementwise and rowwise kernels of a transformer. Each works on one contiguous row; each is analytic in its
/// inputs, so that the complex-step derivative passes through it.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/exponential.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

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

/// left = right, matrix by matrix of one shape.
template <class Scalar>
inline void copy_matrix(const MatrixView<const Scalar>& right, MatrixView<Scalar> left) {
  for (Index row = 0; row < left.rows; ++row) {
    copy_row<Scalar>(left.columns, right.row(row), left.row(row));
  }
}

/// left += right, matrix by matrix of one shape.
template <class Scalar>
inline void add_matrix(const MatrixView<const Scalar>& right, MatrixView<Scalar> left) {
  for (Index row = 0; row < left.rows; ++row) {
    add_row(left.columns, right.row(row), left.row(row));
  }
}

/// Adds a row vector, [columns], to every row.
template <class Scalar>
inline void add_bias(const Scalar* bias, const MatrixView<Scalar>& matrix) {
  for (Index row = 0; row < matrix.rows; ++row) {
    add_row(matrix.columns, bias, matrix.row(row));
  }
}

/// Adds the column sums of a matrix to a row vector: the backward of `add_bias`. The sums of several registers of
/// columns stay in registers while the rows run by.
template <class Scalar>
inline void add_column_sums(const MatrixView<const Scalar>& matrix, Scalar* sums) {
  constexpr Index lanes = batch_size<Scalar>;
  constexpr int together = 8;
  Index column = 0;
  for (; column + together * lanes <= matrix.columns; column += together * lanes) {
    Register<Scalar> totals[together];
    INCONTEXT_UNROLL
    for (int place = 0; place < together; ++place) {
      totals[place] = load(static_cast<const Scalar*>(sums) + column + place * lanes);
    }
    for (Index row = 0; row < matrix.rows; ++row) {
      const Scalar* const values = matrix.row(row) + column;
      INCONTEXT_UNROLL
      for (int place = 0; place < together; ++place) {
        totals[place] += load(values + place * lanes);
      }
    }
    INCONTEXT_UNROLL
    for (int place = 0; place < together; ++place) {
      store<Scalar>(totals[place], sums + column + place * lanes);
    }
  }
  for_each_register<Scalar>(matrix.columns - column, [&](const auto& part, Index index) {
    auto total = part.load(sums + column + index);
    for (Index row = 0; row < matrix.rows; ++row) {
      total += part.load(matrix.row(row) + column + index);
    }
    part.store(total, sums + column + index);
  });
}

/// exp(scale values) / sum(exp(scale values)) in place over the first `count` of `length` entries, with a scale above
/// 0; the others become zero. Fastest where `length` is a multiple of the batch size.
template <class Scalar>
inline void softmax_row(Scalar scale, Index count, Index length, Scalar* values) {
  if (count == 0) {
    return std::fill(values, values + length, Scalar{});
  }
  if constexpr (is_vectorised<Scalar>) {
    using Values = Batch<Scalar>;
    const Index end = (std::min)(padded<Scalar>(count), length);
    const Values number = lane_numbers<Scalar>();
    const auto visible = [&](const auto& lanes, Index index) {
      const Values outside(-std::numeric_limits<Scalar>::infinity());
      return xsimd::select(number < Values(static_cast<Scalar>(count - index)), lanes.load(values + index), outside);
    };
    Values largest(-std::numeric_limits<Scalar>::infinity());
    for_each_register<Scalar>(
        end, [&](const auto& lanes, Index index) { largest = xsimd::max(visible(lanes, index), largest); });
    const Values shift(reduce_max<Scalar>(largest));
    Values total(Scalar{0});
    for_each_register<Scalar>(end, [&](const auto& lanes, Index index) {
      const Values power = exponential(Values(scale) * (visible(lanes, index) - shift));
      lanes.store(power, values + index);
      total += power;
    });
    scale_row(end, Scalar(1) / reduce_add<Scalar>(total), values);
    std::fill(values + end, values + length, Scalar{});
  } else {
    // The largest is a constant shift: softmax does not change with it, and so neither does its derivative.
    auto largest = real_part(values[0]);
    for (Index index = 1; index < count; ++index) {
      largest = (std::max)(largest, real_part(values[index]));
    }
    Scalar total{};
    for (Index index = 0; index < count; ++index) {
      values[index] = exponential(scale * (values[index] - Scalar(largest)));
      total += values[index];
    }
    scale_row(count, Scalar(1) / total, values);
    std::fill(values + count, values + length, Scalar{});
  }
}

/// The logistic function 1 / (1 + exp(-value)).
template <class Value>
[[nodiscard]] inline Value logistic(const Value& value) {
  return constant<Value>(1) / (constant<Value>(1) + exponential(-value));
}

INCONTEXT_NAMESPACE_END
