#include "incontext/simd/products.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

using namespace incontext;

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

RowMatrix<double> random_matrix(const char* name, Index rows, Index columns) {
  RowMatrix<double> matrix(rows, columns);
  Stream(Key{1}.fold(name)).fill_normal(matrix.data(), matrix.data() + matrix.size());
  return matrix;
}

}  // namespace

TEST_CASE("products and sums are those of plain loops, at sizes that fill no register") {
  for (const Index rows : {1, 2, 7, 19, 37}) {
    for (const Index columns : {1, 3, 8, 21}) {
      const RowMatrix<double> left = random_matrix("left", rows, columns);
      const RowMatrix<double> right = random_matrix("right", rows, columns);
      RowMatrix<double> turned(columns, rows);
      for (Index row = 0; row < rows; ++row) {
        for (Index column = 0; column < columns; ++column) {
          turned(column, row) = left(row, column);
        }
      }
      Vector product(rows);
      multiply_transposed(turned, right.data(), product.data());
      const Vector sums = column_sums(left, right);
      for (Index row = 0; row < rows; ++row) {
        double sum = 0.0;
        double size = 0.0;
        for (Index column = 0; column < columns; ++column) {
          sum += left(row, column) * right(0, column);
          size += std::abs(left(row, column) * right(0, column));
        }
        // Two sums of n products, each with at most n roundings of at most epsilon / 2 of the sizes' sum.
        const double allowed = static_cast<double>(columns + 1) * epsilon * size;
        CHECK(std::abs(product[row] - sum) <= allowed);
        CHECK(std::abs(inner_product(&left(row, 0), right.data(), columns) - sum) <= allowed);
        double distance = 0.0;
        std::vector<double> scaled(right.data(), right.data() + columns);
        add_scaled(-0.7, &left(row, 0), scaled.data(), columns);
        for (Index column = 0; column < columns; ++column) {
          distance += std::pow(left(row, column) - right(0, column), 2.0);
          const double expected = right(0, column) - 0.7 * left(row, column);
          CHECK(std::abs(scaled[static_cast<std::size_t>(column)] - expected) <=
                2.0 * epsilon * (std::abs(right(0, column)) + std::abs(left(row, column))));
        }
        // A difference is off by epsilon / 2, its square by twice that and a rounding, the sum by n roundings.
        CHECK(std::abs(squared_distance(&left(row, 0), right.data(), columns) - distance) <=
              static_cast<double>(columns + 3) * epsilon * distance);
      }
      for (Index column = 0; column < columns; ++column) {
        double sum = 0.0;
        double size = 0.0;
        for (Index row = 0; row < rows; ++row) {
          sum += left(row, column) * right(row, column);
          size += std::abs(left(row, column) * right(row, column));
        }
        CHECK(std::abs(sums[column] - sum) <= static_cast<double>(rows + 1) * epsilon * size);
      }
      CHECK(norm(left.data(), columns) == std::sqrt(inner_product(left.data(), left.data(), columns)));
    }
  }
}

TEST_CASE("sums and minima look at every value") {
  for (const Index count : {1, 2, 7, 8, 9, 16, 31}) {
    const RowMatrix<double> values = random_matrix("values", 1, count);
    double total = 0.0;
    double size = 0.0;
    for (Index place = 0; place < count; ++place) {
      total += values(0, place);
      size += std::abs(values(0, place));
      RowMatrix<double> low = values;
      low(0, place) = -100.0;
      CHECK(smallest(low.data(), count) == -100.0);
    }
    CHECK(std::abs(sum(values.data(), count) - total) <= static_cast<double>(count) * epsilon * size);
  }
}

TEST_CASE("exponentials are within a few roundings of the standard library's") {
  RowMatrix<double> values = random_matrix("values", 5, 13);
  const RowMatrix<double> before = values;
  exponentiate(values);
  for (Index index = 0; index < values.size(); ++index) {
    const double expected = std::exp(before.data()[index]);
    CHECK(std::abs(values.data()[index] - expected) <= 4.0 * epsilon * expected);
  }
}

TEST_CASE("exponentials far beyond what a double holds are zero or infinite") {
  RowMatrix<double> values(2, 9);
  for (Index column = 0; column < 9; ++column) {
    values(0, column) = -1e24;
    values(1, column) = 1e24;
  }
  exponentiate(values);
  for (Index column = 0; column < 9; ++column) {
    CHECK(values(0, column) == 0.0);
    CHECK(values(1, column) == std::numeric_limits<double>::infinity());
  }
}
