#pragma once
/// \file
/// Which mixture of two reference predictors a model's outputs look like: the posterior odds that it acts on.

#include "incontext/core/error.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// The g that fits f = g f_pool + (1 - g) f_ridge best, by least squares over the prompts, for every number of
/// exemplars, [points]: the regression of (f - f_ridge) on (f_pool - f_ridge) through the origin. NaN where the two
/// references agree on every prompt.
/// \throws ShapeError if the shapes differ
[[nodiscard]] inline Vector fitted_pool_probability(const Predictions& model, const Predictions& pool,
                                                    const Predictions& ridge) {
  require<ShapeError>(model.rows() == pool.rows() && model.cols() == pool.cols() && model.rows() == ridge.rows() &&
                          model.cols() == ridge.cols(),
                      "fitted_pool_probability: predictions of [", model.rows(), ", ", model.cols(), "], [",
                      pool.rows(), ", ", pool.cols(), "] and [", ridge.rows(), ", ", ridge.cols(),
                      "], expected one shape");
  const RowMatrix<double> direction = pool - ridge;
  const RowMatrix<double> offset = model - ridge;
  Vector probability = column_sums(offset, direction);
  const Vector squares = column_sums(direction, direction);
  for (Index point = 0; point < probability.size(); ++point) {
    probability[point] /= squares[point];
  }
  return probability;
}

INCONTEXT_NAMESPACE_END
