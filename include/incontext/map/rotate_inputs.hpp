#pragma once
/// \file
/// Inputs turned by an orthogonal matrix, which leaves the standard normal distribution as it is.

#include "incontext/map/map.hpp"
#include "incontext/task/multiply_inputs.hpp"

#include <cmath>
#include <limits>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Replaces every input x by Q x, with Q orthogonal: a rotation, or a rotation and a reflection. Labels stay, so the
/// weights of the mapped prompt are Q w, and predictions need no inverse. Inverting the inputs is exact up to rounding.
class RotateInputs {
 public:
  /// \param rotation Q, [dimension, dimension]
  /// \throws ShapeError if Q is not square
  /// \throws ConfigurationError if an entry of Q Q' - I exceeds 64 dimension epsilon, or Q is empty or not finite
  explicit RotateInputs(RowMatrix<double> rotation) : rotation_(std::move(rotation)) {
    const Index dimension = rotation_.rows();
    require<ShapeError>(rotation_.cols() == dimension, "RotateInputs: the matrix is [", dimension, ", ",
                        rotation_.cols(), "], expected a square one");
    require(dimension >= 1, "RotateInputs: dimension is ", dimension, ", expected at least 1");
    // A row product of unit vectors carries at most dimension roundings; the rest is room for how Q was computed.
    const double allowed = 64.0 * static_cast<double>(dimension) * std::numeric_limits<double>::epsilon();
    double deviation = 0.0;
    for (Index row = 0; row < dimension; ++row) {
      for (Index other = 0; other <= row; ++other) {
        const double distance = std::abs(row_product(rotation_, row, other) - (row == other ? 1.0 : 0.0));
        deviation = distance <= deviation ? deviation : distance;  // so that a NaN stays
      }
    }
    require(deviation <= allowed, "RotateInputs: the matrix is not orthogonal: Q Q' - I has an ", "entry of size ",
            deviation, ", expected at most ", allowed);
  }

  /// A uniformly distributed (Haar) orthogonal matrix: the rows of a Gaussian matrix made orthonormal one after the
  /// other, which is its QR decomposition with a positive diagonal of R (Mezzadri, "How to generate random matrices
  /// from the classical compact groups", Notices of the AMS 54, 2007, section 5). Each row is cleared of the earlier
  /// ones twice: once leaves what rounding left, twice is enough (Giraud, Langou, Rozloznik, "The loss of orthogonality
  /// in the Gram-Schmidt orthogonalization process", Computers & Mathematics with Applications 50, 2005).
  ///
  /// \throws ConfigurationError if dimension is below 1
  [[nodiscard]] static RotateInputs random(Index dimension, Key key) {
    require(dimension >= 1, "RotateInputs::random: dimension is ", dimension, ", expected at least 1");
    RowMatrix<double> rotation(dimension, dimension);
    Stream(key).fill_normal(rotation.data(), rotation.data() + rotation.size());
    for (Index row = 0; row < dimension; ++row) {
      for (int pass = 0; pass < 2; ++pass) {
        for (Index earlier = 0; earlier < row; ++earlier) {
          const double share = row_product(rotation, row, earlier);
          for (Index column = 0; column < dimension; ++column) {
            rotation(row, column) -= share * rotation(earlier, column);
          }
        }
      }
      const double length = std::sqrt(row_product(rotation, row, row));
      for (Index column = 0; column < dimension; ++column) {
        rotation(row, column) /= length;
      }
    }
    return RotateInputs(std::move(rotation));
  }

  /// \throws ShapeError if the prompts have another dimension
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    check(prompts);
    multiply_inputs(prompts.inputs, rotation_);
    return prompts;
  }

  /// \throws ShapeError if the prompts have another dimension
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    check(prompts);
    multiply_inputs(prompts.inputs, rotation_.transpose());
    return prompts;
  }

  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const { return predictions; }

  /// Q, [dimension, dimension].
  [[nodiscard]] const RowMatrix<double>& rotation() const { return rotation_; }

 private:
  static double row_product(const RowMatrix<double>& matrix, Index row, Index other) {
    double sum = 0.0;
    for (Index column = 0; column < matrix.cols(); ++column) {
      sum += matrix(row, column) * matrix(other, column);
    }
    return sum;
  }

  void check(const Prompts& prompts) const {
    require<ShapeError>(prompts.dimension == rotation_.rows(), "RotateInputs: prompts of dimension ", prompts.dimension,
                        " for a rotation of dimension ", rotation_.rows());
  }

  RowMatrix<double> rotation_;
};

INCONTEXT_NAMESPACE_END
