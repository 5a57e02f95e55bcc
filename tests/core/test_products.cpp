#include "incontext/core/products.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

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
  for (const Index rows : {1, 2, 7, 19}) {
    for (const Index columns : {1, 3, 8, 21}) {
      const RowMatrix<double> left = random_matrix("left", rows, columns);
      const RowMatrix<double> right = random_matrix("right", rows, columns);
      const Eigen::MatrixXd by_columns = left;
      Vector product(rows);
      multiply_vector(by_columns, right.data(), product.data());
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

TEST_CASE("exponentials are within a few roundings of the standard library's") {
  RowMatrix<double> values = random_matrix("values", 5, 13);
  const RowMatrix<double> before = values;
  exponentiate(values);
  for (Index index = 0; index < values.size(); ++index) {
    const double expected = std::exp(before.data()[index]);
    CHECK(std::abs(values.data()[index] - expected) <= 4.0 * epsilon * expected);
  }
}
