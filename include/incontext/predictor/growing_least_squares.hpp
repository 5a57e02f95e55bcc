#pragma once
/// \file
/// Regularised least squares over exemplars that arrive one by one: what ridge and minimum-norm regression share.

#include "incontext/core/config.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/products.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

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
        width_(static_cast<Index>((size(dimension) + segment - 1) / segment * segment)),
        squared_regularisation_(square((std::min)(regularisation, 1e150))),
        tolerance_(squared_regularisation_ > 0.0 ? 16.0 * static_cast<double>(dimension) * epsilon
                                                 : std::sqrt(epsilon)),
        basis_(size(dimension * width_)),
        factor_(size(width_ * width_)),
        diagonal_(size(width_)),
        rotated_labels_(size(width_)),
        coordinates_(size(width_)),
        solution_(size(width_)),
        odds_(size(width_)),
        cosines_(size(width_)),
        sines_(size(width_)),
        remainder_(size(dimension)) {
    restart();
  }

  /// Forgets all exemplars.
  void restart() {
    rank_ = 0;
    // Zeros and ones beyond the rank, so that whole segments can be computed with.
    std::fill(basis_.begin(), basis_.end(), 0.0);
    std::fill(factor_.begin(), factor_.end(), 0.0);
    std::fill(diagonal_.begin(), diagonal_.end(), 1.0);
    std::fill(rotated_labels_.begin(), rotated_labels_.end(), 0.0);
  }

  /// Looks at `input`, [dimension], from the exemplars read so far: sets `prediction` and `leverage`.
  void query(const double* input) {
    project(input);
    solve();
    prediction_ = 0.0;
    leverage_ = 0.0;
    for (std::size_t row = 0; row < rank_; ++row) {
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
      for (Index coordinate = 0; coordinate < dimension_; ++coordinate) {
        basis_row(coordinate)[rank_] = remainder_[size(coordinate)] / distance_;
      }
      coordinates_[rank_] = distance_;
      solution_[rank_] = distance_;
      diagonal_[rank_] = squared_regularisation_;
      factor_row(rank_)[rank_] = 1.0;
      ++rank_;
    }
    // Rotation i takes the exemplar, of weight 1 / odds_i by then, and row i, of weight D_i, to
    //   D_i + u_i^2 / odds_i    cosine * row + sine * exemplar    exemplar - u_i * row
    for (std::size_t row = 0; row < rank_; ++row) {
      const double gain = solution_[row] / odds_[row];
      const double updated = (std::max)(diagonal_[row] + solution_[row] * gain, std::numeric_limits<double>::min());
      cosines_[row] = diagonal_[row] / updated;
      sines_[row] = gain / updated;
      diagonal_[row] = updated;
      const double passed = label - solution_[row] * rotated_labels_[row];
      rotated_labels_[row] = cosines_[row] * rotated_labels_[row] + sines_[row] * label;
      label = passed;
    }
    for (std::size_t first = 0; first < rank_; first += segment) {
      Segment exemplar(&coordinates_[first]);
      const std::size_t rows = (std::min)(rank_, first + segment);
      for (std::size_t row = 0; row < rows; ++row) {
        const Segment kept(factor_row(row) + first);
        Segment rotated;
        rotated.add(cosines_[row], kept);
        rotated.add(sines_[row], exemplar);
        rotated.write_to(factor_row(row) + first);
        exemplar.add(-solution_[row], kept);
      }
    }
    for (std::size_t row = 0; row < rank_; ++row) {
      factor_row(row)[row] = 1.0;  // it stays so but for rounding
    }
  }

  /// The weights w, [dimension].
  [[nodiscard]] Vector weights() const {
    std::vector<double> solution(rotated_labels_.begin(), rotated_labels_.begin() + static_cast<Index>(rank_));
    for (std::size_t row = rank_; row-- > 0;) {
      for (std::size_t column = row + 1; column < rank_; ++column) {
        solution[row] -= factor_row(row)[column] * solution[column];
      }
    }
    Vector weights(dimension_);
    for (Index coordinate = 0; coordinate < dimension_; ++coordinate) {
      weights[coordinate] = inner_product(basis_row(coordinate), solution.data(), static_cast<Index>(rank_));
    }
    return weights;
  }

 private:
  static constexpr double epsilon = std::numeric_limits<double>::epsilon();
  // Rows are computed in segments of this many columns, which need no loop for the rest.
  static constexpr std::size_t segment = batch_size<double> > 8 ? static_cast<std::size_t>(batch_size<double>) : 8;

  // A segment of a row, in registers.
  class Segment {
   public:
    /// Zeros.
    Segment() {
      for (Register<double>& part : parts_) {
        part = Register<double>(0.0);
      }
    }
    explicit Segment(const double* values) {
      for (std::size_t part = 0; part < count; ++part) {
        parts_[part] = load(values + part * lanes);
      }
    }
    void write_to(double* target) const {
      for (std::size_t part = 0; part < count; ++part) {
        store(parts_[part], target + part * lanes);
      }
    }
    // += factor * other
    void add(double factor, const Segment& other) {
      for (std::size_t part = 0; part < count; ++part) {
        parts_[part] = fused_multiply_add(Register<double>(factor), other.parts_[part], parts_[part]);
      }
    }
    // += left * right, lane by lane
    void add(const Segment& left, const Segment& right) {
      for (std::size_t part = 0; part < count; ++part) {
        parts_[part] = fused_multiply_add(left.parts_[part], right.parts_[part], parts_[part]);
      }
    }
    [[nodiscard]] double sum() const {
      Register<double> total = parts_[0];
      for (std::size_t part = 1; part < count; ++part) {
        total += parts_[part];
      }
      return reduce_add<double>(total);
    }

   private:
    static constexpr auto lanes = static_cast<std::size_t>(batch_size<double>);
    static constexpr std::size_t count = segment / lanes;
    Register<double> parts_[count] = {};
  };

  static std::size_t size(Index number) { return static_cast<std::size_t>(number); }

  static double square(double regularisation) {
    const double product = regularisation * regularisation;
    return product < std::numeric_limits<double>::min() ? 0.0 : product;
  }

  // Splits x into Q coordinates + remainder, and sets `distance_` to the norm of the remainder: 0 within the tolerance.
  void project(const double* input) {
    multiply_basis(input, coordinates_);
    distance_ = 0.0;
    if (rank_ == size(dimension_)) {
      return;
    }
    std::copy_n(input, dimension_, remainder_.begin());
    subtract_from_remainder(coordinates_);
    std::vector<double>& correction = solution_;
    multiply_basis(remainder_.data(), correction);
    subtract_from_remainder(correction);
    for (std::size_t column = 0; column < rank_; ++column) {
      coordinates_[column] += correction[column];
    }
    const double distance = norm(remainder_.data(), dimension_);
    if (distance > tolerance_ * norm(input, dimension_)) {
      distance_ = distance;
    }
  }

  // Q' times a vector, [dimension]; zeros beyond the rank.
  void multiply_basis(const double* vector, std::vector<double>& product) const {
    for (std::size_t first = 0; first < size(width_); first += segment) {
      Segment sum;
      for (Index row = 0; row < dimension_; ++row) {
        sum.add(vector[row], Segment(basis_row(row) + first));
      }
      sum.write_to(&product[first]);
    }
  }

  // remainder -= Q times coordinates, which are zero beyond the rank.
  void subtract_from_remainder(const std::vector<double>& coordinates) {
    for (Index row = 0; row < dimension_; ++row) {
      Segment product;
      for (std::size_t first = 0; first < rank_; first += segment) {
        product.add(Segment(basis_row(row) + first), Segment(&coordinates[first]));
      }
      remainder_[size(row)] -= product.sum();
    }
  }

  // Sets `solution_` to u = R'^-1 coordinates.
  void solve() {
    double rest[segment];
    for (std::size_t first = 0; first < rank_; first += segment) {
      Segment coordinates(&coordinates_[first]);
      const std::size_t rows = (std::min)(rank_, first + segment);
      for (std::size_t row = 0; row < rows; ++row) {
        if (row >= first) {
          coordinates.write_to(rest);
          solution_[row] = rest[row - first];
        }
        coordinates.add(-solution_[row], Segment(factor_row(row) + first));
      }
    }
  }

  [[nodiscard]] double* basis_row(Index row) { return basis_.data() + row * width_; }
  [[nodiscard]] const double* basis_row(Index row) const { return basis_.data() + row * width_; }
  [[nodiscard]] double* factor_row(std::size_t row) { return factor_.data() + row * size(width_); }
  [[nodiscard]] const double* factor_row(std::size_t row) const { return factor_.data() + row * size(width_); }

  Index dimension_;
  Index width_;  // the dimension, filled up to whole segments
  double squared_regularisation_;
  double tolerance_;
  std::size_t rank_ = 0;
  std::vector<double> basis_;           // Q: [dimension, rank]
  std::vector<double> factor_;          // R: [rank, rank]; what is below its diagonal is read by nobody
  std::vector<double> diagonal_;        // D: [rank]
  std::vector<double> rotated_labels_;  // [rank]: D^-1 R'^-1 Q'X'y
  std::vector<double> coordinates_;     // [rank, one more while an input is appended]
  std::vector<double> solution_;        // u: [rank, one more while an input is appended]
  std::vector<double> odds_;            // [rank, likewise]: 1 + the sum of u_j^2 / D_j over j < i
  std::vector<double> cosines_;         // [rank]
  std::vector<double> sines_;           // [rank]
  std::vector<double> remainder_;       // [dimension]
  double distance_ = 0.0;
  double prediction_ = 0.0;
  double leverage_ = 0.0;
};

INCONTEXT_NAMESPACE_END
