#include "incontext/core/matrix.hpp"

#include <doctest/doctest.h>

#include <complex>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::MatrixView;
using incontext::RowMatrix;

TEST_CASE_TEMPLATE("an aligned vector starts on a cache line whatever its size", Scalar, float, double,
                   std::complex<double>) {
  for (std::size_t size = 1; size < 200; size += 7) {
    AlignedVector<Scalar> values(size);
    CHECK(reinterpret_cast<std::uintptr_t>(values.data()) % incontext::cache_line_bytes == 0);
    values.resize(3 * size);
    CHECK(reinterpret_cast<std::uintptr_t>(values.data()) % incontext::cache_line_bytes == 0);
    AlignedVector<Scalar> copy = values;
    CHECK(reinterpret_cast<std::uintptr_t>(copy.data()) % incontext::cache_line_bytes == 0);
  }
}

TEST_CASE("moving an aligned vector moves its memory") {
  AlignedVector<float> values(10, 1.0F);
  const float* data = values.data();
  const AlignedVector<float> moved = std::move(values);
  CHECK(moved.data() == data);
}

TEST_CASE("a view addresses row by row, with its stride") {
  std::vector<int> memory(24);
  std::iota(memory.begin(), memory.end(), 0);
  const MatrixView<int> view(memory.data(), 4, 6);
  CHECK(view.stride == 6);
  CHECK(view(0, 0) == 0);
  CHECK(view(2, 5) == 17);
  CHECK(view.row(3) == memory.data() + 18);

  // Every other row, as a view of the same memory.
  const MatrixView<int> sparse(memory.data(), 2, 6, 12);
  CHECK(sparse(1, 0) == 12);

  const MatrixView<int> block = view.block(1, 2, 3, 2);
  CHECK(block.rows == 3);
  CHECK(block.columns == 2);
  CHECK(block.stride == 6);
  CHECK(block(0, 0) == 8);
  CHECK(block(2, 1) == 21);
  const MatrixView<int> inner = block.block(1, 1, 1, 1);
  CHECK(inner(0, 0) == 15);

  block(0, 0) = -1;
  CHECK(memory[8] == -1);
}

TEST_CASE("a view and Eigen's row-major matrix agree on where an element is") {
  RowMatrix<double> matrix(3, 4);
  for (Index row = 0; row < 3; ++row) {
    for (Index column = 0; column < 4; ++column) {
      matrix(row, column) = static_cast<double>(10 * row + column);
    }
  }
  const MatrixView<double> view(matrix.data(), matrix.rows(), matrix.cols());
  for (Index row = 0; row < 3; ++row) {
    for (Index column = 0; column < 4; ++column) {
      CHECK(view(row, column) == matrix(row, column));
    }
  }
}

TEST_CASE("a mutable view becomes a view of constants, never the reverse") {
  static_assert(std::is_convertible_v<MatrixView<float>, MatrixView<const float>>);
  static_assert(!std::is_convertible_v<MatrixView<const float>, MatrixView<float>>);
  static_assert(!std::is_convertible_v<MatrixView<float>, MatrixView<const double>>);
  float value = 3.0F;
  const MatrixView<const float> view = MatrixView<float>(&value, 1, 1, 5);
  CHECK(view.data == &value);
  CHECK(view.stride == 5);
  CHECK(view(0, 0) == 3.0F);
  const MatrixView<float> empty;
  CHECK(empty.data == nullptr);
  CHECK(empty.rows * empty.columns == 0);
}
