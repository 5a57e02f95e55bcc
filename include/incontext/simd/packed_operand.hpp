#pragma once
/// \file
/// The one door to matrix products at a chosen precision.

#include "incontext/core/workspace.hpp"
#include "incontext/simd/low_precision_product.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/precision.hpp"

#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

/// Whether products of this scalar are computed on bfloat16 operands: `float` only.
template <class Scalar>
[[nodiscard]] constexpr bool is_low(Precision precision) {
  return std::is_same_v<Scalar, float> && precision != Precision::fp32;
}

/// The right operand of a product, packed for a precision.
template <class Scalar>
struct PackedOperand {
  Precision precision = Precision::fp32;
  PackedPanels<Scalar> panels;  ///< for fp32
  PackedTiles tiles;            ///< for the others

  /// Scalars' worth of memory that a matrix, [rows, columns] as stored, needs.
  static constexpr Index size(Precision precision, Index rows, Index columns,
                              Orientation orientation = Orientation::as_stored) {
    if (orientation == Orientation::transposed) {
      return size(precision, columns, rows);
    }
    return is_low<Scalar>(precision) ? PackedTiles::size(precision, rows, columns)
                                     : PackedPanels<Scalar>::size(rows, columns);
  }
};

/// Packs B, [inner, columns], or B^T, [columns, inner] as stored, in `target`, which has room for PackedOperand::size.
template <class Scalar>
[[nodiscard]] inline PackedOperand<Scalar> pack_operand(Precision precision, MatrixView<const Scalar> b, Scalar* target,
                                                        Orientation orientation = Orientation::as_stored) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(precision)) {
      return {precision, {}, pack_tiles(precision, b, target, orientation)};
    }
  }
  return {precision, pack(b, target, orientation), {}};
}

/// C = start + A B at the precision that B is packed for. Shapes [m, k] [k, n] -> [m, n].
template <class Scalar>
inline void multiply(MatrixView<const Scalar> a, const PackedOperand<Scalar>& b, MatrixView<Scalar> c,
                     const ProductStart<Scalar>& start, Workspace<Scalar>& workspace,
                     const TileFinish<Scalar>& finish = {}) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(b.precision)) {
      return multiply(a, b.tiles, c, start, workspace, finish);
    }
  }
  multiply<Scalar>(a, b.panels, c, start, {}, finish);
}

/// C += A^T B at a precision. Shapes [k, m] [k, n] -> [m, n].
template <class Scalar>
inline void add_transposed_product(Precision precision, MatrixView<const Scalar> a, MatrixView<const Scalar> b,
                                   MatrixView<Scalar> c, Workspace<Scalar>& workspace) {
  const ProductStart<Scalar> start{nullptr, c};
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(precision)) {
      return multiply_transposed_left(precision, a, b, c, start, workspace);
    }
  }
  multiply_transposed_left<Scalar>(a, b, c, start, workspace);
}

INCONTEXT_NAMESPACE_END
