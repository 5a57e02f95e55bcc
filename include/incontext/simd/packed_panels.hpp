#pragma once
/// \file
/// The right operand of a product, rearranged into panels of a few registers of columns, so that a kernel reads it
/// front to back. An element is read as many times as the product has tiles of rows; it is rearranged once.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/transpose.hpp"

#include <algorithm>

INCONTEXT_NAMESPACE_BEGIN

/// Which way round a matrix enters a product: as it is stored, or as its transpose.
enum class Orientation { as_stored, transposed };

/// Registers of columns in a panel.
inline constexpr int panel_registers = 2;
/// Columns of a panel.
template <class Scalar>
inline constexpr Index panel_columns = panel_registers* batch_size<Scalar>;

/// Panels of B, [inner, columns]. Panel p holds the columns from p * panel_columns on, row by row: [inner,
/// panel_columns], or [inner, batch_size] for a last panel that needs no more. Columns beyond B are zero.
template <class Scalar>
struct PackedPanels {
  const Scalar* data = nullptr;
  Index inner = 0;
  Index columns = 0;
  Index whole_inner = inner;  ///< of the panels in memory, where these are a part of them
  Index first_inner = 0;      ///< where that part begins

  /// Scalars in the panels of a matrix.
  static constexpr Index size(Index inner, Index columns) { return inner * padded<Scalar>(columns); }
  [[nodiscard]] static Index width_of(Index remaining) {
    return remaining > batch_size<Scalar> ? panel_columns<Scalar> : batch_size<Scalar>;
  }
  [[nodiscard]] const Scalar* panel(Index first_column) const {
    return data + whole_inner * first_column + first_inner * width_of(columns - first_column);
  }
  /// B[:, first, first + count), from the start of a panel on, and to the end of one or of B.
  [[nodiscard]] PackedPanels part_of_columns(Index first, Index count) const {
    return {data + whole_inner * first, inner, count, whole_inner, first_inner};
  }
  /// B[first, first + count), :].
  [[nodiscard]] PackedPanels part_of_inner(Index first, Index count) const {
    return {data, count, columns, whole_inner, first_inner + first};
  }
};

namespace detail {

/// One panel: target[k, j] = b(k, first_column + j), zero beyond the last column.
template <class Scalar>
inline void pack_panel(const MatrixView<const Scalar>& b, Index first_column, Index width, Scalar* target) {
  const Index valid = (std::min)(width, b.columns - first_column);
  for (Index k = 0; k < b.rows; ++k, target += width) {
    const Scalar* source = b.row(k) + first_column;
    if (valid == width) {
      for (Index lane = 0; lane < width; lane += batch_size<Scalar>) {
        store<Scalar>(load(source + lane), target + lane);
      }
    } else {
      std::copy(source, source + valid, target);
      std::fill(target + valid, target + width, Scalar{});
    }
  }
}

/// One panel of the transpose: target[k, j] = b(first_column + j, k), zero beyond the last column. In blocks, so that
/// both sides stay in cache.
template <class Scalar>
inline void pack_panel_transposed(const MatrixView<const Scalar>& b, Index first_column, Index width, Scalar* target) {
  const Index valid = (std::min)(width, b.rows - first_column);
  for (Index first = 0; first < b.columns; first += transposed_block) {
    const Index last = (std::min)(first + transposed_block, b.columns);
    for (Index lane = 0; lane < width; lane += transposed_block) {
      const Index last_lane = (std::min)(lane + transposed_block, width);
      if (lane + transposed_block <= valid && first + transposed_block <= b.columns) {
        transpose_block(b.row(first_column + lane) + first, b.stride, target + first * width + lane, width);
        continue;
      }
      for (Index k = first; k < last; ++k) {
        for (Index column = lane; column < last_lane; ++column) {
          target[k * width + column] = column < valid ? b(first_column + column, k) : Scalar{};
        }
      }
    }
  }
}

}  // namespace detail

/// The panels of B, or of B^T; `target` has room for PackedPanels::size of them.
template <class Scalar>
inline PackedPanels<Scalar> pack(const MatrixView<const Scalar>& b, Scalar* target,
                                 Orientation orientation = Orientation::as_stored) {
  const bool is_turned = orientation == Orientation::transposed;
  const PackedPanels<Scalar> panels{target, is_turned ? b.columns : b.rows, is_turned ? b.rows : b.columns};
  for (Index column = 0; column < panels.columns; column += panel_columns<Scalar>) {
    (is_turned ? detail::pack_panel_transposed<Scalar>
               : detail::pack_panel<Scalar>)(b, column, panels.width_of(panels.columns - column),
                                             target + panels.inner * column);
  }
  return panels;
}

INCONTEXT_NAMESPACE_END
