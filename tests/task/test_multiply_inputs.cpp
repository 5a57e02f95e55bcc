#include "incontext/task/multiply_inputs.hpp"

#include "incontext/core/key.hpp"
#include "same_bits.hpp"

#include <doctest/doctest.h>

using namespace incontext;

namespace {

RowMatrix<double> normals(Index rows, Index columns, Key key) {
  RowMatrix<double> matrix(rows, columns);
  Stream(key).fill_normal(matrix.data(), matrix.data() + matrix.size());
  return matrix;
}

}  // namespace

TEST_CASE("multiply_inputs: every row x becomes matrix x") {
  RowMatrix<double> inputs(2, 2);
  inputs << 1.0, 2.0, -3.0, 4.0;
  RowMatrix<double> matrix(2, 2);
  matrix << 0.0, 2.0, 1.0, 1.0;
  multiply_inputs(inputs, matrix);
  RowMatrix<double> expected(2, 2);
  expected << 4.0, 3.0, 8.0, 1.0;
  CHECK(incontext_tests::same_bits(inputs, expected));
}

TEST_CASE("multiply_inputs: the bits of a row do not depend on the rows around it") {
  for (const Index dimension : {1, 2, 3, 5, 8, 13}) {
    const RowMatrix<double> matrix = normals(dimension, dimension, Key(1));
    const RowMatrix<double> inputs = normals(37, dimension, Key(2));
    RowMatrix<double> together = inputs;
    multiply_inputs(together, matrix);
    for (Index row = 0; row < inputs.rows(); ++row) {
      RowMatrix<double> alone = inputs.row(row);
      multiply_inputs(alone, matrix);
      CHECK(incontext_tests::same_bits(alone, together.row(row)));
    }
  }
}

TEST_CASE("multiply_inputs: a matrix of another shape is refused by name") {
  RowMatrix<double> inputs = normals(4, 3, Key(1));
  CHECK_THROWS_WITH_AS(multiply_inputs(inputs, normals(2, 3, Key(2))), doctest::Contains("[2, 3]"), ShapeError);
  CHECK_THROWS_WITH_AS(multiply_inputs(inputs, normals(3, 2, Key(2))), doctest::Contains("dimension 3"), ShapeError);
}
