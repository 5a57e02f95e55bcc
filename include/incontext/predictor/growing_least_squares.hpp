#pragma once
/// \file
/// Regularised least squares over exemplars that arrive one by one: what ridge and minimum-norm regression share.

#include "incontext/core/config.hpp"
#include "incontext/core/matrix.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <limits>

INCONTEXT_NAMESPACE_BEGIN

/// The weights w that minimise ||y - X w||^2 + r^2 ||w||^2 over the exemplars read so far, for any r >= 0; at r = 0,
/// among the minimisers, the one of smallest norm. Reading an exemplar costs O(d^2).
///
/// Two factors grow with the exemplars. An orthonormal basis Q of the span of the inputs (Gram-Schmidt, every input
/// orthogonalised twice: Giraud, Langou, Rozloznik 2005) keeps w in that span, where the minimum-norm solution lies;
/// so nothing is ever divided by a singular value that is zero. And a triangle R with ones on its diagonal and a
/// positive diagonal D with R'DR = r^2 I + (XQ)'(XQ) solve the least squares there. A new exemplar is rotated into the
/// rows of sqrt(D) R by Givens rotations without square roots (Gentleman, "Least squares computations by Givens
/// transformations without square roots", Journal of the Institute of Mathematics and its Applications 12, 1973): like
/// those with square roots they keep the condition number of X instead of that of X'X, and never subtract in D. All
/// rotations of a step follow from u = R'^-1 Q'x and the sums of u_j^2 / D_j over j < i, which the query has: none
/// waits for the one before.
///
/// An input counts as new direction only where its distance from the span exceeds `tolerance` times its own norm:
///  - r = 0: sqrt(epsilon). Dropping a direction changes the input by at most `tolerance`, relatively; keeping it
///    magnifies the rounding errors in it to epsilon / tolerance. The two are balanced.
///  - r > 0: 16 d epsilon, the rounding error of the distance itself: r bounds what a spurious direction can do.
class GrowingLeastSquares {
 public:
  /// For inputs of `dimension` coordinates; `regularisation` is r above, at least 0. Its square has to be a number:
  /// beyond 1e150 r stays at that, which shows in no prediction, and where r^2 underflows it is 0.
  GrowingLeastSquares(Index dimension, double regularisation)
      : dimension_(dimension),
        width_((dimension + segment - 1) / segment * segment),
        squared_regularisation_(square((std::min)(regularisation, 1e150))),
        tolerance_(squared_regularisation_ > 0.0 ? 16.0 * static_cast<double>(dimension) * epsilon
                                                 : std::sqrt(epsilon)),
        basis_(dimension, width_),
        factor_(width_, width_),
        diagonal_(width_),
        rotated_labels_(width_),
        coordinates_(width_),
        solution_(width_),
        odds_(width_),
        cosines_(width_),
        sines_(width_),
        remainder_(dimension) {
    restart();
  }

  /// Forgets all exemplars.
  void restart() {
    rank_ = 0;
    // Zeros and ones beyond the rank, so that whole segments can be computed with.
    basis_.setZero();
    factor_.setZero();
    diagonal_.setOnes();
    rotated_labels_.setZero();
  }

  /// Looks at `input`, [dimension], from the exemplars read so far: sets `prediction` and `leverage`.
  void query(const double* input) {
    project(Eigen::Map<const Vector>(input, dimension_));
    solve();
    prediction_ = 0.0;
    leverage_ = 0.0;
    for (Index row = 0; row < rank_; ++row) {
      odds_[row] = 1.0 + leverage_;
      prediction_ += solution_[row] * rotated_labels_[row];
      leverage_ += solution_[row] * (solution_[row] / diagonal_[row]);
    }
    if (distance_ > 0.0) {
      odds_[rank_] = 1.0 + leverage_;
      leverage_ += distance_ * (distance_ / squared_regularisation_);
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
      solution_[rank_] = distance_;
      diagonal_[rank_] = squared_regularisation_;
      factor_(rank_, rank_) = 1.0;
      ++rank_;
    }
    // Rotation i takes the exemplar, of weight 1 / odds_i by then, and row i, of weight D_i, to
    //   D_i + u_i^2 / odds_i    cosine * row + sine * exemplar    exemplar - u_i * row
    for (Index row = 0; row < rank_; ++row) {
      const double gain = solution_[row] / odds_[row];
      const double updated = (std::max)(diagonal_[row] + solution_[row] * gain, std::numeric_limits<double>::min());
      cosines_[row] = diagonal_[row] / updated;
      sines_[row] = gain / updated;
      diagonal_[row] = updated;
      const double passed = label - solution_[row] * rotated_labels_[row];
      rotated_labels_[row] = cosines_[row] * rotated_labels_[row] + sines_[row] * label;
      label = passed;
    }
    for (Index first = 0; first < rank_; first += segment) {
      Segment exemplar = coordinates_.segment<segment>(first);
      const Index rows = (std::min)(rank_, first + segment);
      for (Index row = 0; row < rows; ++row) {
        auto entries = factor_.row(row).segment<segment>(first).transpose();
        const Segment kept = entries;
        entries = cosines_[row] * kept + sines_[row] * exemplar;
        exemplar -= solution_[row] * kept;
      }
    }
    factor_.diagonal().head(rank_).setOnes();  // it stays so but for rounding
  }

  /// The weights w, [dimension].
  [[nodiscard]] Vector weights() const {
    const Vector solution =
        factor_.topLeftCorner(rank_, rank_).triangularView<Eigen::UnitUpper>().solve(rotated_labels_.head(rank_));
    return basis_.leftCols(rank_) * solution;
  }

 private:
  static constexpr double epsilon = std::numeric_limits<double>::epsilon();
  // Rows are computed in segments of this many columns, which need no loop for the rest.
  static constexpr Index segment = 8;
  using Segment = Eigen::Matrix<double, segment, 1>;

  static double square(double regularisation) {
    const double product = regularisation * regularisation;
    return product < std::numeric_limits<double>::min() ? 0.0 : product;
  }

  // Splits x into Q coordinates + remainder, and sets `distance_` to the norm of the remainder: 0 within the tolerance.
  void project(const Eigen::Map<const Vector>& input) {
    multiply_basis(input.data(), coordinates_);
    distance_ = 0.0;
    if (rank_ == dimension_) {
      return;
    }
    const auto basis = basis_.leftCols(rank_);
    remainder_ = input;
    remainder_.noalias() -= basis * coordinates_.head(rank_);
    Vector& correction = solution_;
    multiply_basis(remainder_.data(), correction);
    remainder_.noalias() -= basis * correction.head(rank_);
    coordinates_ += correction;
    const double distance = remainder_.norm();
    if (distance > tolerance_ * input.norm()) {
      distance_ = distance;
    }
  }

  // Q' times a vector, [dimension].
  void multiply_basis(const double* vector, Vector& product) const {
    for (Index first = 0; first < width_; first += segment) {
      Segment sum = Segment::Zero();
      for (Index row = 0; row < dimension_; ++row) {
        sum += vector[row] * basis_.row(row).segment<segment>(first).transpose();
      }
      product.segment<segment>(first) = sum;
    }
  }

  // Sets `solution_` to u = R'^-1 coordinates.
  void solve() {
    for (Index first = 0; first < rank_; first += segment) {
      Segment rest = coordinates_.segment<segment>(first);
      const Index rows = (std::min)(rank_, first + segment);
      for (Index row = 0; row < rows; ++row) {
        if (row >= first) {
          solution_[row] = rest[row - first];
        }
        rest -= solution_[row] * factor_.row(row).segment<segment>(first).transpose();
      }
    }
  }

  Index dimension_;
  Index width_;  // the dimension, filled up to whole segments
  double squared_regularisation_;
  double tolerance_;
  Index rank_ = 0;
  RowMatrix<double> basis_;   // Q: [dimension, rank]
  RowMatrix<double> factor_;  // R: [rank, rank]; what is below its diagonal is read by nobody
  Vector diagonal_;           // D: [rank]
  Vector rotated_labels_;     // [rank]: D^-1 R'^-1 Q'X'y
  Vector coordinates_;        // [rank, one more while an input is appended]
  Vector solution_;           // u: [rank, one more while an input is appended]
  Vector odds_;               // [rank, likewise]: 1 + the sum of u_j^2 / D_j over j < i
  Vector cosines_;            // [rank]
  Vector sines_;              // [rank]
  Vector remainder_;          // [dimension]
  double distance_ = 0.0;
  double prediction_ = 0.0;
  double leverage_ = 0.0;
};

INCONTEXT_NAMESPACE_END
