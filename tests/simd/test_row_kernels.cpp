#include "incontext/simd/row_kernels.hpp"

#include "incontext/core/key.hpp"
#include "simd/normals.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <vector>

using incontext::Batch;
using incontext::Index;
using incontext::Key;
using incontext::logistic;
using incontext::MatrixView;
using incontext::softmax_rows;
using incontext::softmax_rows_backward;
using incontext::Stream;
using incontext::sum_row;
using incontext::sum_rows;
using incontext::transform_row;
using incontext_tests::normals;

namespace {

// Softmax of one row.
template <class Scalar>
void softmax_row(Scalar scale, Index count, Index length, Scalar* values) {
  softmax_rows(scale, MatrixView<Scalar>(values, 1, length), [count](Index) { return count; });
}

template <class Scalar>
constexpr long double epsilon = static_cast<long double>(std::numeric_limits<Scalar>::epsilon());

}  // namespace

TEST_CASE("the real part of a real number is itself") {
  CHECK(incontext::real_part(2.5F) == 2.5F);
  CHECK(incontext::real_part(std::complex<double>(1.5, -3.0)) == 1.5);
}

TEST_CASE_TEMPLATE("add_row and scale_row round once, as the plain expression does", Scalar, float, double,
                   std::complex<double>) {
  for (const Index count : {0, 1, 3, 8, 16, 21, 67}) {
    const std::vector<Scalar> source = normals<Scalar>(count, Key{1});
    const std::vector<Scalar> before = normals<Scalar>(count, Key{2});
    std::vector<Scalar> target = before;
    incontext::add_row(count, source.data(), target.data());
    std::vector<Scalar> scaled = before;
    incontext::scale_row(count, Scalar(0.3), scaled.data());
    for (std::size_t index = 0; index < target.size(); ++index) {
      CHECK(target[index] == before[index] + source[index]);
      CHECK(scaled[index] == before[index] * Scalar(0.3));
    }
  }
}

TEST_CASE_TEMPLATE("matrices of any stride: add_matrix, add_bias and add_column_sums", Scalar, float, double,
                   std::complex<double>) {
  const Index rows = 5;
  const Index columns = 11;
  const Index stride = 14;
  // Multiples of 1/8 below 16: sums of five are exact, so the order does not matter.
  const auto eighths = [](Index count, Key key) {
    std::vector<Scalar> values(static_cast<std::size_t>(count));
    Stream stream(key);
    for (Scalar& value : values) {
      value = Scalar(static_cast<float>(stream.integer(128)) / 8.0F);
    }
    return values;
  };
  const std::vector<Scalar> right = eighths(rows * stride, Key{1});
  const std::vector<Scalar> before = eighths(rows * stride, Key{2});
  const std::vector<Scalar> bias = eighths(columns, Key{3});
  const MatrixView<const Scalar> right_view(right.data(), rows, columns, stride);

  std::vector<Scalar> sum = before;
  incontext::add_matrix<Scalar>(right_view, MatrixView<Scalar>(sum.data(), rows, columns, stride));
  std::vector<Scalar> shifted = before;
  incontext::add_bias(bias.data(), MatrixView<Scalar>(shifted.data(), rows, columns, stride));
  std::vector<Scalar> sums = bias;
  incontext::add_column_sums<Scalar>(right_view, sums.data());

  for (Index column = 0; column < stride; ++column) {
    const bool inside = column < columns;
    Scalar expected_sum = inside ? bias[static_cast<std::size_t>(column)] : Scalar{};
    for (Index row = 0; row < rows; ++row) {
      const auto place = static_cast<std::size_t>(row * stride + column);
      CHECK(sum[place] == before[place] + (inside ? right[place] : Scalar{}));
      CHECK(shifted[place] == before[place] + (inside ? bias[static_cast<std::size_t>(column)] : Scalar{}));
      expected_sum += right[place];
    }
    if (inside) {
      CHECK(sums[static_cast<std::size_t>(column)] == expected_sum);
    }
  }
}

TEST_CASE_TEMPLATE("softmax is exp(scale value) / sum(exp(scale value))", Scalar, float, double) {
  for (const Index count : {1, 2, 3, 7, 16, 33, 100}) {
    for (const double scale : {0.1, 1.0, 10.0}) {
      CAPTURE(count);
      CAPTURE(scale);
      const Index length = count + 5;
      const std::vector<Scalar> scores = normals<Scalar>(length, Key{4}, scale);
      std::vector<Scalar> weights = scores;
      softmax_row(Scalar(0.5), count, length, weights.data());
      long double largest = scores[0];
      for (Index index = 0; index < count; ++index) {
        largest = (std::max)(largest, static_cast<long double>(scores[static_cast<std::size_t>(index)]));
      }
      long double total = 0.0L;
      for (Index index = 0; index < count; ++index) {
        total += std::exp(0.5L * (scores[static_cast<std::size_t>(index)] - largest));
      }
      for (Index index = 0; index < length; ++index) {
        const long double weight = weights[static_cast<std::size_t>(index)];
        if (index >= count) {
          CHECK(weight == 0.0L);
          continue;
        }
        const long double shifted = 0.5L * (scores[static_cast<std::size_t>(index)] - largest);
        const long double expected = std::exp(shifted) / total;
        // Relative: the rounded difference d moves exp by |d| u, the exponential errs by two epsilon above and in every
        // term of the sum, the sum of `count` terms and two more operations round. No term's d counts more than 1 in
        // the sum, since |d| exp(d) < 1. Weights below the smallest normal number are lost altogether.
        const long double bound =
            (0.5L * std::abs(shifted) + 6.0L + static_cast<long double>(count)) * epsilon<Scalar> * expected +
            static_cast<long double>((std::numeric_limits<Scalar>::min)());
        CHECK(std::abs(weight - expected) <= bound);
      }
    }
  }
}

TEST_CASE_TEMPLATE("softmax of one entry is one, of equal entries uniform, whatever their size", Scalar, float,
                   double) {
  for (const double size : {0.0, 1e4, -1e4, 1e30}) {
    Scalar one = static_cast<Scalar>(size);
    softmax_row(Scalar(1), 1, 1, &one);
    CHECK(one == Scalar{1});
    std::vector<Scalar> eight(8, static_cast<Scalar>(size));
    softmax_row(Scalar(1), 8, 8, eight.data());
    CHECK(eight == std::vector<Scalar>(8, Scalar(0.125)));
  }
}

TEST_CASE_TEMPLATE("softmax of far apart entries picks the largest and stays finite", Scalar, float, double) {
  std::vector<Scalar> values = {Scalar(-1e4), Scalar(1e4), Scalar(0), Scalar(-1e30), Scalar(9e3)};
  softmax_row(Scalar(1), 5, 5, values.data());
  CHECK(values == std::vector<Scalar>{0, 1, 0, 0, 0});
}

TEST_CASE_TEMPLATE("a row of softmax, and of its backward, has its bits whatever the rows around it", Scalar, float,
                   double) {
  const Index rows = 3 * incontext::rows_together<Scalar> + 5;
  const Index columns = 41;
  const Index stride = 43;
  const auto visible = [](Index row) { return row * 7 % (columns + 1); };  // none, some, all
  const std::vector<Scalar> scores = normals<Scalar>(rows * stride, Key{5});
  std::vector<Scalar> d_weights = normals<Scalar>(rows * stride, Key{6});
  std::vector<Scalar> weights = scores;
  softmax_rows(Scalar(0.5), MatrixView<Scalar>(weights.data(), rows, columns, stride), visible);
  // What is not seen may be anything.
  for (Index row = 0; row < rows; ++row) {
    std::fill(d_weights.begin() + row * stride + visible(row), d_weights.begin() + row * stride + columns,
              std::numeric_limits<Scalar>::quiet_NaN());
  }
  std::vector<Scalar> d_scores = d_weights;
  softmax_rows_backward(Scalar(0.5), MatrixView<const Scalar>(weights.data(), rows, columns, stride),
                        MatrixView<Scalar>(d_scores.data(), rows, columns, stride), visible);
  for (Index row = 0; row < rows; ++row) {
    CAPTURE(row);
    const auto first = static_cast<std::size_t>(row * stride);
    std::vector<Scalar> alone(scores.begin() + row * stride, scores.begin() + (row + 1) * stride);
    softmax_row(Scalar(0.5), visible(row), columns, alone.data());
    std::vector<Scalar> d_alone(d_weights.begin() + row * stride, d_weights.begin() + (row + 1) * stride);
    softmax_rows_backward(Scalar(0.5), MatrixView<const Scalar>(alone.data(), 1, columns),
                          MatrixView<Scalar>(d_alone.data(), 1, columns), [&](Index) { return visible(row); });
    long double total = 0.0L;
    for (std::size_t column = 0; column < static_cast<std::size_t>(stride); ++column) {
      CHECK(weights[first + column] == alone[column]);
      CHECK(d_scores[first + column] == d_alone[column]);  // beyond the columns, what was there
      if (column >= static_cast<std::size_t>(visible(row)) && column < static_cast<std::size_t>(columns)) {
        CHECK(weights[first + column] == Scalar{});
        CHECK(d_scores[first + column] == Scalar{});
      } else if (column < static_cast<std::size_t>(columns)) {
        total += weights[first + column];
      }
    }
    // Every weight errs by the bound above relative to itself, and they sum to one.
    const long double bound = (10.0L + static_cast<long double>(visible(row))) * epsilon<Scalar>;
    CHECK(std::abs(total - (visible(row) > 0 ? 1.0L : 0.0L)) <= bound);
  }
}

TEST_CASE_TEMPLATE("softmax of what is not a number is not a number, in its row alone", Scalar, float, double) {
  std::vector<Scalar> values = {1, 2, 3, 4, std::numeric_limits<Scalar>::quiet_NaN(), 6};
  softmax_rows(Scalar(1), MatrixView<Scalar>(values.data(), 2, 3), [](Index) { return Index{3}; });
  CHECK(std::abs(values[0] + values[1] + values[2] - Scalar{1}) <= 4 * std::numeric_limits<Scalar>::epsilon());
  for (std::size_t index = 3; index < 6; ++index) {
    CHECK(std::isnan(values[index]));
  }
}

TEST_CASE_TEMPLATE("column sums are added row by row, however many columns go together", Scalar, float, double,
                   std::complex<double>) {
  const Index rows = 5;
  for (Index columns = 0; columns <= 9 * incontext::batch_size<Scalar> + 1; ++columns) {
    CAPTURE(columns);
    const Index stride = columns + 3;
    const std::vector<Scalar> values = normals<Scalar>(rows * stride, Key{11});
    std::vector<Scalar> sums = normals<Scalar>(columns + 1, Key{12});
    std::vector<Scalar> expected = sums;
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < columns; ++column) {
        expected[static_cast<std::size_t>(column)] += values[static_cast<std::size_t>(row * stride + column)];
      }
    }
    incontext::add_column_sums<Scalar>({values.data(), rows, columns, stride}, sums.data());
    CHECK(sums == expected);
  }
}

TEST_CASE_TEMPLATE("sum_rows has the bits of sum_row, of several sums and any number of rows", Scalar, float, double,
                   std::complex<double>) {
  // Sums without products: whether those are rounded on their own is for the compiler to say, loop by loop.
  const auto accumulate = [](Index row, auto& totals, const auto& left, const auto& right) {
    totals[0] = totals[0] + (left - right);
    totals[1] = totals[1] + (left - Scalar(static_cast<float>(row)));
  };
  for (const Index columns : {0, 1, 16, 32, 45}) {
    for (Index rows = 1; rows <= 3 * incontext::rows_together<Scalar> + 1; rows += 3) {
      CAPTURE(columns);
      CAPTURE(rows);
      const std::vector<Scalar> left = normals<Scalar>(rows * (columns + 2), Key{7});
      const std::vector<Scalar> right = normals<Scalar>(columns, Key{8});
      constexpr Scalar untouched(-1.0F);
      std::vector<Scalar> differences(static_cast<std::size_t>(rows) + 1, untouched);
      std::vector<Scalar> distances = differences;
      sum_rows<Scalar, 2>({differences.data(), distances.data()}, accumulate,
                          MatrixView<const Scalar>(left.data(), rows, columns, columns + 2),
                          MatrixView<const Scalar>(right.data(), rows, columns, 0));
      for (Index row = 0; row < rows; ++row) {
        const auto index = static_cast<std::size_t>(row);
        const Scalar* const values = left.data() + row * (columns + 2);
        CHECK(differences[index] ==
              sum_row(
                  columns, [](const auto& a, const auto& b) { return a - b; }, values, right.data()));
        CHECK(distances[index] ==
              sum_row(
                  columns, [row](const auto& a) { return a - Scalar(static_cast<float>(row)); }, values));
      }
      CHECK(differences.back() == untouched);
      CHECK(distances.back() == untouched);
    }
  }
}

TEST_CASE("rows of a sweep are whole groups, and as many numbers as the first-level cache has room for") {
  for (const Index columns : {0, 1, 32, 48, 64, 81, 128, 256, 4096}) {
    CAPTURE(columns);
    const Index rows = incontext::rows_of_sweep<float>(columns);
    CHECK(rows % incontext::rows_together<float> == 0);
    CHECK(rows >= incontext::rows_together<float>);
    CHECK(rows <= incontext::most_rows_of_sweep);
    CHECK((rows == incontext::rows_together<float> || rows * columns <= 4096));
  }
}

TEST_CASE("softmax of complex numbers carries the derivative in the imaginary part") {
  // d softmax_i / d value_j = p_i (delta_ij - p_j).
  const std::vector<double> scores = {0.3, -1.2, 2.0};
  std::vector<double> p = scores;
  softmax_row(1.0, 3, 3, p.data());
  for (std::size_t moved = 0; moved < 3; ++moved) {
    std::vector<std::complex<double>> values(scores.begin(), scores.end());
    values[moved] += std::complex<double>(0.0, 1e-20);
    softmax_row(std::complex<double>(1.0), 3, 3, values.data());
    for (std::size_t index = 0; index < 3; ++index) {
      const double expected = p[index] * ((index == moved ? 1.0 : 0.0) - p[moved]);
      CHECK(values[index].real() == doctest::Approx(p[index]).epsilon(1e-15));
      CHECK(std::abs(values[index].imag() / 1e-20 - expected) <= 1e-15);  // a few epsilon of numbers below 1/4
    }
  }
}

TEST_CASE_TEMPLATE("the logistic function is 1 / (1 + exp(-value)), on scalars and vectors alike", Scalar, float,
                   double) {
  const Index count = 2001;
  std::vector<Scalar> x(static_cast<std::size_t>(count));
  for (Index index = 0; index < count; ++index) {
    x[static_cast<std::size_t>(index)] = static_cast<Scalar>(0.08 * static_cast<double>(index - 1000));
  }
  std::vector<Scalar> result(x.size());
  transform_row(
      count, result.data(), [](const auto& value) { return logistic(value); }, static_cast<const Scalar*>(x.data()));
  for (std::size_t index = 0; index < x.size(); ++index) {
    const long double expected = 1.0L / (1.0L + std::exp(-static_cast<long double>(x[index])));
    // Two epsilon of the exponential, then a sum and a quotient.
    CHECK(std::abs(static_cast<long double>(result[index]) - expected) <= 3.0L * epsilon<Scalar> * expected);
    CHECK(std::abs(static_cast<long double>(logistic(x[index])) - expected) <= 3.0L * epsilon<Scalar> * expected);
  }
}

TEST_CASE_TEMPLATE("the logistic function saturates without overflow", Scalar, float, double) {
  const std::vector<Scalar> x = {Scalar(1e4), Scalar(-1e4), Scalar(1e30), Scalar(-1e30)};
  std::vector<Scalar> result(x.size());
  transform_row(
      4, result.data(), [](const auto& value) { return logistic(value); }, x.data());
  CHECK(result == std::vector<Scalar>{1, 0, 1, 0});
}
