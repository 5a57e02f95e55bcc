#pragma once
/// \file
/// Regularised least squares over exemplars that arrive one by one: what ridge and minimum-norm regression share.

#include "incontext/core/config.hpp"
#include "incontext/core/matrix.hpp"

#include <Eigen/Core>

#include <cmath>
#include <limits>

INCONTEXT_NAMESPACE_BEGIN

/// The weights w that minimise ||y - X w||^2 + r^2 ||w||^2 over the exemplars read so far, for any r >= 0; at r = 0,
/// among the minimisers, the one of smallest norm. Reading an exemplar costs O(d^2).
///
/// Two factors grow with the exemplars. An orthonormal basis Q of the span of the inputs (Gram-Schmidt, every input
/// orthogonalised twice: Giraud, Langou, Rozloznik 2005) keeps w in that span, where the minimum-norm solution lies;
/// so nothing is ever divided by a singular value that is zero. And a triangle R with R'R = r^2 I + (XQ)'(XQ), updated
/// by Givens rotations of its rows with the new exemplar (Golub and Van Loan, Matrix Computations, 6.5.3), solves the
/// least squares there with the condition number of X instead of that of X'X, and never subtracts.
///
/// An input counts as new direction only where its distance from the span exceeds `tolerance` times its own norm:
///  - r = 0: sqrt(epsilon). Dropping a direction changes the input by at most `tolerance`, relatively; keeping it
///    magnifies the rounding errors in it to epsilon / tolerance. The two are balanced.
///  - r > 0: 16 d epsilon, the rounding error of the distance itself: r bounds what a spurious direction can do.
class GrowingLeastSquares {
 public:
  /// For inputs of `dimension` coordinates; `regularisation` is r above, at least 0.
  GrowingLeastSquares(Index dimension, double regularisation)
      : dimension_(dimension),
        regularisation_(regularisation),
        tolerance_(regularisation > 0.0 ? 16.0 * static_cast<double>(dimension) * epsilon : std::sqrt(epsilon)),
        basis_(dimension, dimension),
        factor_(dimension, dimension),
        rotated_labels_(dimension),
        coordinates_(dimension),
        correction_(dimension),
        remainder_(dimension) {}

  /// Forgets all exemplars.
  void restart() { rank_ = 0; }

  /// Looks at `input`, [dimension], from the exemplars read so far: sets `prediction` and `leverage`.
  void query(const double* input) {
    project(Eigen::Map<const Vector>(input, dimension_));
    // With u = R'^-1 Q'x: the prediction is u . rotated_labels and the leverage u . u.
    Vector& solution = correction_;
    solution.head(rank_) = coordinates_.head(rank_);
    prediction_ = 0.0;
    leverage_ = 0.0;
    for (Index row = 0; row < rank_; ++row) {
      const double* const factor_row = &factor_(row, 0);
      const double value = solution[row] / factor_row[row];
      for (Index column = row + 1; column < rank_; ++column) {
        solution[column] -= value * factor_row[column];
      }
      prediction_ += value * rotated_labels_[row];
      leverage_ += value * value;
    }
    if (distance_ > 0.0) {
      const double value = distance_ / regularisation_;
      leverage_ += value * value;
    }
  }

  /// w . x of the last query.
  [[nodiscard]] double prediction() const { return prediction_; }

  /// x' (X'X + r^2 I)^-1 x of the last query: the variance of the prediction in units of the noise's. Infinite at
  /// r = 0 for an input outside the span.
  [[nodiscard]] double leverage() const { return leverage_; }

  /// Reads the last query as an exemplar with this label. Call it at most once for each query.
  void append(double label) {
    if (distance_ > 0.0) {
      basis_.col(rank_) = remainder_ / distance_;
      coordinates_[rank_] = distance_;
      factor_.col(rank_).head(rank_).setZero();
      factor_(rank_, rank_) = regularisation_;
      rotated_labels_[rank_] = 0.0;
      ++rank_;
    }
    double* const incoming = coordinates_.data();
    for (Index row = 0; row < rank_; ++row) {
      if (incoming[row] == 0.0) {
        continue;  // nothing to rotate, and the diagonal may be as small
      }
      double* const factor_row = &factor_(row, 0);
      const double radius = std::hypot(factor_row[row], incoming[row]);
      const double cosine = factor_row[row] / radius;
      const double sine = incoming[row] / radius;
      const auto rotate = [cosine, sine](double& kept, double& passed) {
        const double rotated = cosine * kept + sine * passed;
        passed = cosine * passed - sine * kept;
        kept = rotated;
      };
      factor_row[row] = radius;
      for (Index column = row + 1; column < rank_; ++column) {
        rotate(factor_row[column], incoming[column]);
      }
      rotate(rotated_labels_[row], label);
    }
  }

  /// The weights w, [dimension].
  [[nodiscard]] Vector weights() const {
    const Vector solution =
        factor_.topLeftCorner(rank_, rank_).triangularView<Eigen::Upper>().solve(rotated_labels_.head(rank_));
    return basis_.leftCols(rank_) * solution;
  }

 private:
  static constexpr double epsilon = std::numeric_limits<double>::epsilon();

  // Splits x into Q coordinates + remainder, and sets `distance_` to the norm of the remainder: 0 within the tolerance.
  void project(const Eigen::Map<const Vector>& input) {
    const auto basis = basis_.leftCols(rank_);
    auto coordinates = coordinates_.head(rank_);
    coordinates.noalias() = basis.transpose() * input;
    distance_ = 0.0;
    if (rank_ == dimension_) {
      return;
    }
    remainder_ = input;
    remainder_.noalias() -= basis * coordinates;
    auto correction = correction_.head(rank_);
    correction.noalias() = basis.transpose() * remainder_;
    remainder_.noalias() -= basis * correction;
    coordinates += correction;
    const double distance = remainder_.norm();
    if (distance > tolerance_ * input.norm()) {
      distance_ = distance;
    }
  }

  Index dimension_;
  double regularisation_;
  double tolerance_;
  Index rank_ = 0;
  Eigen::MatrixXd basis_;     // Q: [dimension, rank]
  RowMatrix<double> factor_;  // R: [rank, rank], upper triangular
  Vector rotated_labels_;     // [rank]: R'^-1 Q'X'y
  Vector coordinates_;        // [rank, one more while an input is appended]
  Vector correction_;         // [rank]
  Vector remainder_;          // [dimension]
  double distance_ = 0.0;
  double prediction_ = 0.0;
  double leverage_ = 0.0;
};

INCONTEXT_NAMESPACE_END
