#pragma once
/// \file
/// Matrix products on row-major views: C = A B, C += A B, C += A^T B, and the transposition that A B^T needs.
///
/// One register tile serves all of them: `tile_rows` rows of C times a few vectors of columns stay in registers while
/// the inner dimension runs; A is broadcast, B is loaded along its rows. Every element of C is summed over the inner
/// dimension in ascending order, whatever the sizes around it, so results do not depend on how rows are cut in shards.

#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"

#include <algorithm>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// A read by (row, inner index): either an ordinary matrix or the transposed reading of one.
template <class Scalar>
struct LeftOperand {
  const Scalar* data;
  Index row_stride;
  Index inner_stride;
};

/// The vectors of columns in a register tile: 6 x 4 accumulators of the 32 registers of AVX-512, 6 x 2 of 16.
inline constexpr int tile_rows = 6;
#if defined(__AVX512F__) || defined(__ARM_NEON)
inline constexpr int tile_vectors = 4;
#else
inline constexpr int tile_vectors = 2;
#endif
/// The inner dimension is cut here, so that the panel of B in use stays in the second-level cache.
inline constexpr Index inner_block = 512;

/// C[Rows, Vectors * lanes] (+)= A[Rows, inner] B[inner, Vectors * lanes].
template <class Scalar, int Rows, int Vectors>
inline void product_tile(Index inner, LeftOperand<Scalar> a, const Scalar* b, Index b_stride, Scalar* c, Index c_stride,
                         bool accumulate) {
  constexpr Index lanes = batch_size<Scalar>;
  Batch<Scalar> sum[Rows][Vectors];
  for (int row = 0; row < Rows; ++row) {
    for (int vector = 0; vector < Vectors; ++vector) {
      sum[row][vector] =
          accumulate ? Batch<Scalar>::load_unaligned(c + row * c_stride + vector * lanes) : Batch<Scalar>(Scalar{0});
    }
  }
  for (Index k = 0; k < inner; ++k) {
    Batch<Scalar> b_row[Vectors];
    for (int vector = 0; vector < Vectors; ++vector) {
      b_row[vector] = Batch<Scalar>::load_unaligned(b + k * b_stride + vector * lanes);
    }
    for (int row = 0; row < Rows; ++row) {
      const Batch<Scalar> a_value(a.data[row * a.row_stride + k * a.inner_stride]);
      for (int vector = 0; vector < Vectors; ++vector) {
        sum[row][vector] = xsimd::fma(a_value, b_row[vector], sum[row][vector]);
      }
    }
  }
  for (int row = 0; row < Rows; ++row) {
    for (int vector = 0; vector < Vectors; ++vector) {
      sum[row][vector].store_unaligned(c + row * c_stride + vector * lanes);
    }
  }
}

/// All rows of a panel of `Vectors` vectors of columns.
template <class Scalar, int Vectors>
inline void product_panel(Index rows, Index inner, LeftOperand<Scalar> a, const Scalar* b, Index b_stride, Scalar* c,
                          Index c_stride, bool accumulate) {
  Index row = 0;
  const auto rest = [&]<int Rows>() {
    product_tile<Scalar, Rows, Vectors>(inner, {a.data + row * a.row_stride, a.row_stride, a.inner_stride}, b, b_stride,
                                        c + row * c_stride, c_stride, accumulate);
  };
  for (; row + tile_rows <= rows; row += tile_rows) {
    rest.template operator()<tile_rows>();
  }
  switch (rows - row) {
    case 5:
      return rest.template operator()<5>();
    case 4:
      return rest.template operator()<4>();
    case 3:
      return rest.template operator()<3>();
    case 2:
      return rest.template operator()<2>();
    case 1:
      return rest.template operator()<1>();
    default:
      return;
  }
}

template <class Scalar>
inline void product_plain(LeftOperand<Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c, Index first_column,
                          Index first_inner, Index last_inner, bool accumulate) {
  for (Index row = 0; row < c.rows; ++row) {
    for (Index column = first_column; column < c.columns; ++column) {
      Scalar sum = accumulate ? c(row, column) : Scalar{};
      for (Index k = first_inner; k < last_inner; ++k) {
        sum += a.data[row * a.row_stride + k * a.inner_stride] * b(k, column);
      }
      c(row, column) = sum;
    }
  }
}

/// C (+)= A B where A is [c.rows, b.rows].
template <class Scalar>
inline void product(LeftOperand<Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c, bool accumulate) {
  const Index inner = b.rows;
  if (inner == 0 && !accumulate) {
    return product_plain(a, b, c, 0, 0, 0, false);
  }
  for (Index k = 0; k < inner; k += inner_block) {
    const Index depth = (std::min)(inner_block, inner - k);
    const bool add = accumulate || k > 0;
    Index column = 0;
    if constexpr (is_vectorised<Scalar>) {
      constexpr Index lanes = batch_size<Scalar>;
      const LeftOperand<Scalar> a_block{a.data + k * a.inner_stride, a.row_stride, a.inner_stride};
      const auto panels = [&]<int Vectors>() {
        for (; column + Vectors * lanes <= c.columns; column += Vectors * lanes) {
          product_panel<Scalar, Vectors>(c.rows, depth, a_block, b.row(k) + column, b.stride, c.data + column, c.stride,
                                         add);
        }
      };
      panels.template operator()<tile_vectors>();
      if constexpr (tile_vectors > 2) {
        panels.template operator()<2>();
      }
      panels.template operator()<1>();
    }
    product_plain(a, b, c, column, k, k + depth, add);
  }
}

}  // namespace detail

/// C = A B. Shapes [m, k] [k, n] -> [m, n]; C must not overlap A or B.
template <class Scalar>
inline void multiply(MatrixView<const Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c) {
  detail::product<Scalar>({a.data, a.stride, 1}, b, c, false);
}

/// C += A B. Shapes [m, k] [k, n] -> [m, n].
template <class Scalar>
inline void multiply_add(MatrixView<const Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c) {
  detail::product<Scalar>({a.data, a.stride, 1}, b, c, true);
}

/// C = A^T B. Shapes [k, m] [k, n] -> [m, n].
template <class Scalar>
inline void multiply_transposed_left(MatrixView<const Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c) {
  detail::product<Scalar>({a.data, 1, a.stride}, b, c, false);
}

/// C += A^T B. Shapes [k, m] [k, n] -> [m, n].
template <class Scalar>
inline void multiply_transposed_left_add(MatrixView<const Scalar> a, MatrixView<const Scalar> b, MatrixView<Scalar> c) {
  detail::product<Scalar>({a.data, 1, a.stride}, b, c, true);
}

/// B = A^T. B is [a.columns, at least a.rows]; columns beyond a.rows become zero, so a padded B needs no tail loop.
template <class Scalar>
inline void transpose(MatrixView<const Scalar> a, MatrixView<Scalar> b) {
  constexpr Index block = 8;
  for (Index first = 0; first < a.rows; first += block) {
    const Index last = (std::min)(first + block, a.rows);
    for (Index column = 0; column < a.columns; ++column) {
      for (Index row = first; row < last; ++row) {
        b(column, row) = a(row, column);
      }
    }
  }
  for (Index row = 0; row < b.rows; ++row) {
    std::fill(b.row(row) + a.rows, b.row(row) + b.columns, Scalar{});
  }
}

INCONTEXT_NAMESPACE_END
