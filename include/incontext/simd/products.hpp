#pragma once
/// \file
/// Small products in double for the closed forms, on plain memory of any length. An expression of Eigen's would be a
/// set of types of its own, compiled in every program that includes it, called or not.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

INCONTEXT_NAMESPACE_BEGIN

/// left . right, [count] each.
[[nodiscard]] inline double inner_product(const double* left, const double* right, Index count) {
  return sum_row(
      count, [](const auto& one, const auto& other) { return one * other; }, left, right);
}

/// The length of a vector, [count].
[[nodiscard]] inline double norm(const double* vector, Index count) {
  return std::sqrt(inner_product(vector, vector, count));
}

/// The sum of values, [count].
[[nodiscard]] inline double sum(const double* values, Index count) {
  return sum_row(
      count, [](const auto& value) { return value; }, values);
}

/// The smallest of values, [count], at least one.
[[nodiscard]] inline double smallest(const double* values, Index count) {
  constexpr Index lanes = batch_size<double>;
  double least = values[0];
  Index index = 0;
  if (count >= lanes) {
    Register<double> leasts = load(values);
    for (index = lanes; index + lanes <= count; index += lanes) {
      leasts = xsimd::min(leasts, load(values + index));
    }
    double parts[static_cast<std::size_t>(lanes)];
    store(leasts, static_cast<double*>(parts));
    least = *std::min_element(parts, parts + lanes);
  }
  for (; index < count; ++index) {
    least = (std::min)(least, values[index]);
  }
  return least;
}

/// ||left - right||^2, [count] each.
[[nodiscard]] inline double squared_distance(const double* left, const double* right, Index count) {
  return sum_row(
      count, [](const auto& one, const auto& other) { return (one - other) * (one - other); }, left, right);
}

/// target += factor * source, [count] each.
inline void add_scaled(double factor, const double* source, double* target, Index count) {
  transform_row(
      count, target,
      [factor](const Register<double>& from, const Register<double>& to) {
        return fused_multiply_add(Register<double>(factor), from, to);
      },
      source, static_cast<const double*>(target));
}

/// product = matrix' * vector, with the long side of the matrix along its rows. Shapes [n, m] [n] -> [m]; the product
/// must not overlap the others.
inline void multiply_transposed(const RowMatrix<double>& matrix, const double* vector, double* product) {
  constexpr Index lanes = batch_size<double>;
  constexpr Index together = 4;  // sums that do not wait for each other
  const Index columns = matrix.cols();
  Index column = 0;
  for (; column + together * lanes <= columns; column += together * lanes) {
    Register<double> sums[together];
    for (Register<double>& sum : sums) {
      sum = Register<double>(0.0);
    }
    for (Index row = 0; row < matrix.rows(); ++row) {
      const Register<double> factor(vector[row]);
      const double* const values = matrix.data() + row * columns + column;
      INCONTEXT_UNROLL
      for (Index part = 0; part < together; ++part) {
        sums[part] = fused_multiply_add(factor, load(values + part * lanes), sums[part]);
      }
    }
    for (Index part = 0; part < together; ++part) {
      store(sums[part], product + column + part * lanes);
    }
  }
  for (; column + lanes <= columns; column += lanes) {
    Register<double> sums(0.0);
    for (Index row = 0; row < matrix.rows(); ++row) {
      sums = fused_multiply_add(Register<double>(vector[row]), load(matrix.data() + row * columns + column), sums);
    }
    store(sums, product + column);
  }
  for (; column < columns; ++column) {
    product[column] = 0.0;
    for (Index row = 0; row < matrix.rows(); ++row) {
      product[column] += vector[row] * matrix(row, column);
    }
  }
}

/// The sums over rows of left * right, element by element. Shapes [m, n] [m, n] -> [n].
[[nodiscard]] inline Vector column_sums(const RowMatrix<double>& left, const RowMatrix<double>& right) {
  Vector sums(left.cols());
  std::fill(sums.data(), sums.data() + sums.size(), 0.0);
  for (Index row = 0; row < left.rows(); ++row) {
    for (Index column = 0; column < left.cols(); ++column) {
      sums[column] += left(row, column) * right(row, column);
    }
  }
  return sums;
}

/// values = exp(values), in vectors, whose last bits may differ from those of `std::exp`. Shape [m, n].
inline void exponentiate(RowMatrix<double>& values) {
  transform_row(
      values.size(), values.data(), [](const Register<double>& value) { return exponential(value); },
      static_cast<const double*>(values.data()));
}

INCONTEXT_NAMESPACE_END
