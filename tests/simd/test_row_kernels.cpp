#include "incontext/simd/row_kernels.hpp"

#include "incontext/core/key.hpp"

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
using incontext::softmax_row;
using incontext::Stream;
using incontext::transform_row;

namespace {

template <class Scalar>
std::vector<Scalar> normals(Index count, Key key, double scale = 1.0) {
  std::vector<Scalar> values(static_cast<std::size_t>(count));
  Stream(key).fill_normal(values.begin(), values.end(), scale);
  return values;
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
