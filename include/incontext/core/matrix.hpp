#pragma once
/// \file
/// The matrix types: Eigen's row-major matrices for what is computed once, plain views for what is computed often.

#include "incontext/core/config.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <new>
#include <type_traits>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A row-major matrix of any size: a row is one prompt, or one token.
template <class Scalar>
using RowMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A column vector of doubles.
using Vector = Eigen::VectorXd;

/// Whether no element is infinite or NaN.
[[nodiscard]] inline bool is_finite(const RowMatrix<double>& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(), [](double value) { return std::isfinite(value); });
}

/// Buffers start on a cache line whatever the instruction set, so that their layout never depends on it.
inline constexpr std::size_t cache_line_bytes = 64;

/// An allocator for `std::vector` whose memory starts on a cache line.
template <class Scalar>
struct CacheLineAllocator {
  using value_type = Scalar;
  CacheLineAllocator() = default;
  template <class Other>
  CacheLineAllocator(const CacheLineAllocator<Other>&) noexcept {}
  [[nodiscard]] Scalar* allocate(std::size_t count) {
    return static_cast<Scalar*>(::operator new (count * sizeof(Scalar), std::align_val_t{cache_line_bytes}));
  }
  void deallocate(Scalar* pointer, std::size_t) noexcept {
    ::operator delete (pointer, std::align_val_t{cache_line_bytes});
  }
  template <class Other>
  bool operator==(const CacheLineAllocator<Other>&) const noexcept {
    return true;
  }
};

/// A vector whose first element starts a cache line.
template <class Scalar>
using AlignedVector = std::vector<Scalar, CacheLineAllocator<Scalar>>;

/// A row-major view of memory that somebody else owns: [rows, columns], `stride` elements from row to row.
template <class Scalar>
struct MatrixView {
  Scalar* data = nullptr;
  Index rows = 0;
  Index columns = 0;
  Index stride = 0;

  MatrixView() = default;
  MatrixView(Scalar* first, Index row_count, Index column_count)
      : data(first), rows(row_count), columns(column_count), stride(column_count) {}
  MatrixView(Scalar* first, Index row_count, Index column_count, Index row_stride)
      : data(first), rows(row_count), columns(column_count), stride(row_stride) {}
  /// A mutable view is also a view of constants.
  template <class Other>
  requires(std::is_same_v<const Other, Scalar>) MatrixView(const MatrixView<Other>& other)
      : data(other.data), rows(other.rows), columns(other.columns), stride(other.stride) {}

  [[nodiscard]] Scalar* row(Index index) const { return data + index * stride; }
  [[nodiscard]] Scalar& operator()(Index row_index, Index column) const { return data[row_index * stride + column]; }
  /// The block [row_count, column_count] whose first element is (first_row, first_column).
  [[nodiscard]] MatrixView block(Index first_row, Index first_column, Index row_count, Index column_count) const {
    return {data + first_row * stride + first_column, row_count, column_count, stride};
  }
};

INCONTEXT_NAMESPACE_END
