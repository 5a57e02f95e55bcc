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

  /// The columns [first, first + count) of B: `first` and `count` are multiples of 32, or the part goes to the end of
  /// B.
  [[nodiscard]] PackedOperand part_of_columns(Index first, Index count) const {
    if (is_low<Scalar>(precision)) {
      return {precision, {}, tiles.part_of_columns(first, count)};
    }
    return {precision, panels.part_of_columns(first, count), {}};
  }
  /// The rows [first, first + count) of B, likewise.
  [[nodiscard]] PackedOperand part_of_inner(Index first, Index count) const {
    if (is_low<Scalar>(precision)) {
      return {precision, {}, tiles.part_of_inner(first, count)};
    }
    return {precision, panels.part_of_inner(first, count), {}};
  }

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
[[nodiscard]] inline PackedOperand<Scalar> pack_operand(Precision precision, const MatrixView<const Scalar>& b,
                                                        Scalar* target,
                                                        Orientation orientation = Orientation::as_stored) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(precision)) {
      return {precision, {}, pack_tiles(precision, b, target, orientation)};
    }
  }
  return {precision, pack(b, target, orientation), {}};
}

/// Makes a right operand of B, or of B^T: packed in the workspace, or B where it lies if that will do.
template <class Scalar>
[[nodiscard]] inline PackedOperand<Scalar> right_operand(Precision precision, const MatrixView<const Scalar>& b,
                                                         Orientation orientation, Workspace<Scalar>& workspace) {
  if (!is_low<Scalar>(precision) && orientation == Orientation::as_stored) {
    return {precision, in_panels(b, workspace), {}};
  }
  const Index size = PackedOperand<Scalar>::size(precision, b.rows, b.columns, orientation);
  return pack_operand(precision, b, workspace.take(1, size).data, orientation);
}

/// The left operand of a product: itself, or its tiles. So it is rearranged once for many products.
template <class Scalar>
struct LeftOperand {
  MatrixView<const Scalar> matrix;
  Orientation orientation = Orientation::as_stored;  ///< which way round it enters
  LeftTiles tiles;
};

/// Makes a left operand of A, or of A^T, in the workspace.
template <class Scalar>
[[nodiscard]] inline LeftOperand<Scalar> left_operand(Precision precision, const MatrixView<const Scalar>& a,
                                                      Orientation orientation, Workspace<Scalar>& workspace) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(precision)) {
      return {a, orientation, pack_left_tiles(precision, a, orientation, workspace)};
    }
  }
  return {a, orientation, {}};
}

/// C = start + A B at the precision that A and B are made for. Shapes [m, k] [k, n] -> [m, n]. `finish` is for an A
/// that enters as it is stored.
template <class Scalar>
inline void multiply(const LeftOperand<Scalar>& a, const PackedOperand<Scalar>& b, const MatrixView<Scalar>& c,
                     const ProductStart<Scalar>& start, Workspace<Scalar>& workspace,
                     const TileFinish<Scalar>& finish = {}) {
  if constexpr (std::is_same_v<Scalar, float>) {
    if (is_low<Scalar>(b.precision)) {
      return multiply(a.tiles, b.tiles, c, start, finish);
    }
  }
  if (a.orientation == Orientation::transposed) {
    return multiply_transposed_left<Scalar>(a.matrix, b.panels, c, start, workspace);
  }
  multiply<Scalar>(a.matrix, b.panels, c, start, {}, finish);
}

/// The same with A made an operand on the way.
template <class Scalar>
inline void multiply(const MatrixView<const Scalar>& a, const PackedOperand<Scalar>& b, const MatrixView<Scalar>& c,
                     const ProductStart<Scalar>& start, Workspace<Scalar>& workspace,
                     const TileFinish<Scalar>& finish = {}) {
  const auto mark = workspace.temporary().mark();
  multiply(left_operand(b.precision, a, Orientation::as_stored, workspace.temporary()), b, c, start, workspace, finish);
  workspace.temporary().release(mark);
}

/// C += A^T B at a precision. Shapes [k, m] [k, n] -> [m, n].
template <class Scalar>
inline void add_transposed_product(Precision precision, const MatrixView<const Scalar>& a, MatrixView<const Scalar> b,
                                   const MatrixView<Scalar>& c, Workspace<Scalar>& workspace) {
  const auto mark = workspace.mark();
  const LeftOperand<Scalar> left = left_operand(precision, a, Orientation::transposed, workspace);
  const PackedOperand<Scalar> right = right_operand(precision, b, Orientation::as_stored, workspace);
  multiply<Scalar>(left, right, c, {nullptr, c}, workspace);
  workspace.release(mark);
}

INCONTEXT_NAMESPACE_END
