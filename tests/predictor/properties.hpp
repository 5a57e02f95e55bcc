#pragma once
// What the tests of the predictors share: prompts, properties that every predictor has, and least squares done slowly.

#include "incontext/predictor/predictor.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>
#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace predictor_properties {

using namespace incontext;

inline constexpr double epsilon = std::numeric_limits<double>::epsilon();

inline RowMatrix<double> normal_matrix(Index rows, Index columns, Key key) {
  RowMatrix<double> matrix(rows, columns);
  Stream(key).fill_normal(matrix.data(), matrix.data() + matrix.size());
  return matrix;
}

/// Prompts of linear regression with fresh Gaussian weights. An odd dimension puts rows at every alignment.
inline Prompts gaussian_prompts(Index count, Index points, Index dimension, double noise, Key key) {
  return LinearRegression{{.dimension = dimension, .points = points, .noise = noise}}.sample(key, count);
}

/// Prompts whose weights are rows of `pool`.
inline Prompts pool_prompts(const RowMatrix<double>& pool, Index count, Index points, double noise, Key key) {
  Prompts prompts(count, points, pool.cols());
  Stream stream(key);
  stream.fill_normal(prompts.inputs.data(), prompts.inputs.data() + prompts.inputs.size());
  for (Index prompt = 0; prompt < count; ++prompt) {
    const auto weights = pool.row(stream.integer(pool.rows()));
    for (Index point = 0; point < points; ++point) {
      prompts.targets(prompt, point) = weights.dot(prompts.inputs_of(prompt).row(point));
      prompts.labels(prompt, point) = prompts.targets(prompt, point) + noise * stream.normal();
    }
  }
  return prompts;
}

/// Gaussian prompts in which inputs repeat, are negated, are sums of others, or are zero, and labels disagree.
inline Prompts dependent_prompts(Index count, Index points, Index dimension, double noise, Key key) {
  Prompts prompts = gaussian_prompts(count, points, dimension, noise, key);
  for (Index prompt = 0; prompt < count; ++prompt) {
    auto inputs = prompts.inputs_of(prompt);
    for (Index point = 2; point < points; ++point) {
      switch (point % 5) {
        case 0:
          inputs.row(point).setZero();
          break;
        case 2:
          inputs.row(point) = inputs.row(0);
          break;
        case 3:
          inputs.row(point) = inputs.row(0) - 0.75 * inputs.row(1);
          break;
        case 4:
          inputs.row(point) *= prompt % 2 == 0 ? 1.0 : 0.0;  // every other prompt stays of rank 2
          break;
        default:
          inputs.row(point) = -inputs.row(point - 1);
          break;
      }
    }
  }
  return prompts;
}

/// The same prompts with the exemplars before the last point in another order.
inline Prompts reordered(const Prompts& prompts, Key key) {
  Prompts other = prompts;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    const std::vector<Index> order = Stream(key.fold(prompt)).permutation(prompts.points - 1);
    for (Index point = 0; point + 1 < prompts.points; ++point) {
      const Index source = order[static_cast<std::size_t>(point)];
      other.inputs_of(prompt).row(point) = prompts.inputs_of(prompt).row(source);
      other.labels(prompt, point) = prompts.labels(prompt, source);
      other.targets(prompt, point) = prompts.targets(prompt, source);
    }
  }
  return other;
}

/// What holds for every predictor, bit for bit: it reads labels and not targets or tokens, no exemplar from the
/// point on, and each prompt by itself.
template <Predictor Type>
void check_contract(const Type& predictor, const Prompts& prompts) {
  const Predictions predictions = predictor.predict(prompts);
  REQUIRE(predictions.rows() == prompts.count);
  REQUIRE(predictions.cols() == prompts.points);
  CHECK(predictions.allFinite());
  CHECK(predictor.predict(prompts) == predictions);

  Prompts disguised = prompts;
  disguised.targets.setConstant(1e9);
  disguised.prefix = 2;
  disguised.tokens.assign(static_cast<std::size_t>(2 * prompts.count), 7);
  CHECK(predictor.predict(disguised) == predictions);

  for (Index point = 0; point < prompts.points; ++point) {
    Prompts future = prompts;
    future.labels.rightCols(prompts.points - point).setConstant(1e9);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      future.inputs_of(prompt).bottomRows(prompts.points - point - 1).setConstant(-1e9);
    }
    CHECK(predictor.predict(future).leftCols(point + 1) == predictions.leftCols(point + 1));
    CHECK(predictor.predict(prompts.first_points(point)) == predictions.leftCols(point));
  }
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    CHECK(predictor.predict(prompts.slice(prompt, 1)) == predictions.row(prompt));
  }
  CHECK(predictor.predict(prompts.slice(0, 0)).size() == 0);
}

/// Prompts at the edge of what doubles hold: huge labels, zero inputs, tiny inputs, and inputs that hardly differ.
inline Prompts extreme_prompts(Index dimension, Key key) {
  const Index points = 2 * dimension + 2;
  Prompts prompts = gaussian_prompts(5, points, dimension, 1.0, key);
  prompts.labels.row(0) *= 1e6;
  prompts.inputs_of(1).setZero();
  prompts.inputs_of(2) *= 1e-12;
  for (Index point = 1; point < points; ++point) {
    prompts.inputs_of(3).row(point) = prompts.inputs_of(3).row(0) * (1.0 + 1e-15 * static_cast<double>(point));
  }
  prompts.labels.row(4).setZero();
  return prompts;
}

/// The minimiser of ||y - X w||^2 + r^2 ||w||^2 of smallest norm, from a rank-revealing factorisation of all of
/// [X; r I], and how far two stable solvers may be apart.
struct DenseLeastSquares {
  Vector weights;
  double weight_error = 0.0;

  /// The first `exemplars` points of a prompt, with regularisation r.
  DenseLeastSquares(const Prompts& prompts, Index prompt, Index exemplars, double regularisation);
};

/// Compares a prediction at every point of every prompt with dense least squares.
inline void check_least_squares(const Predictions& predictions, const Prompts& prompts, double regularisation) {
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 0; point < prompts.points; ++point) {
      const DenseLeastSquares dense(prompts, prompt, point, regularisation);
      const Vector input = prompts.inputs_of(prompt).row(point).transpose();
      CAPTURE(prompt);
      CAPTURE(point);
      CHECK(std::abs(predictions(prompt, point) - dense.weights.dot(input)) <= dense.weight_error * input.norm());
    }
  }
}

/// Law 8 for a least-squares predictor: the last prediction survives a change of order.
template <Predictor Type>
void check_order(const Type& predictor, const Prompts& prompts, double regularisation, Key key) {
  const Index last = prompts.points - 1;
  const Predictions before = predictor.predict(prompts);
  const Predictions after = predictor.predict(reordered(prompts, key));
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    // The bound holds between any two stable solvers, and two orders are two solvers.
    const DenseLeastSquares dense(prompts, prompt, last, regularisation);
    const double tolerance = dense.weight_error * prompts.inputs_of(prompt).row(last).norm();
    CAPTURE(prompt);
    CHECK(std::abs(before(prompt, last) - after(prompt, last)) <= tolerance);
  }
}

}  // namespace predictor_properties
