#pragma once
/// \file
/// What the closed forms take from Eigen, on plain memory: its products and vectorised sums. Elsewhere loops are
/// written out, since every expression of Eigen's is a set of types of its own, compiled in every program that includes
/// it whether it is called or not.

#include "incontext/core/matrix.hpp"

#include <Eigen/Core>

#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// left . right, [count] each.
[[nodiscard]] inline double inner_product(const double* left, const double* right, Index count) {
  return Eigen::Map<const Vector>(left, count).dot(Eigen::Map<const Vector>(right, count));
}

/// The length of a vector, [count].
[[nodiscard]] inline double norm(const double* vector, Index count) {
  return std::sqrt(inner_product(vector, vector, count));
}

/// product = matrix * vector, of a matrix that is stored by columns. Shapes [m, n] [n] -> [m]; the product must not
/// overlap the others.
inline void multiply_vector(const Eigen::MatrixXd& matrix, const double* vector, double* product) {
  Eigen::Map<Vector>(product, matrix.rows()).noalias() = matrix * Eigen::Map<const Vector>(vector, matrix.cols());
}

/// The sums over rows of left * right, element by element. Shapes [m, n] [m, n] -> [n].
[[nodiscard]] inline Vector column_sums(const RowMatrix<double>& left, const RowMatrix<double>& right) {
  return (left.array() * right.array()).colwise().sum();
}

/// values = exp(values), in vectors, whose last bits may differ from those of `std::exp`. Shape [m, n].
inline void exponentiate(RowMatrix<double>& values) { values.array() = values.array().exp(); }

INCONTEXT_NAMESPACE_END
