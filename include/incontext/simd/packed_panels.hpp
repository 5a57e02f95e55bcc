#pragma once
/// \file
/// The right operand of a product in panels of a few registers of columns. Rearranged, a kernel reads a panel front to
/// back: an element is read as many times as the product has tiles of rows, and rearranged once.

#include "incontext/core/matrix.hpp"
#include "incontext/core/workspace.hpp"
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

/// B, [inner, columns], in panels. Panel p holds the columns from p * panel_columns on, a last one that needs no more
/// only batch_size of them. Either they are packed, one after the other and row by row, with zeros beyond the columns
/// of B; or B lies where it lay, and its panels side by side.
template <class Scalar>
struct PackedPanels {
  const Scalar* data = nullptr;
  Index inner = 0;
  Index columns = 0;
  Index column_step = inner;  ///< from a column to the next: the rows of the panels in memory; 1 where B lay
  Index stride = 0;           ///< from a row to the next where B lay; 0: packed
  Index first_inner = 0;      ///< where these begin, if they are a part of the panels in memory

  /// Scalars in the panels of a matrix.
  static constexpr Index size(Index inner, Index columns) { return inner * padded<Scalar>(columns); }
  [[nodiscard]] static Index width_of(Index remaining) {
    return remaining > batch_size<Scalar> ? panel_columns<Scalar> : batch_size<Scalar>;
  }
  /// From a row to the next of the panel that begins with this column.
  [[nodiscard]] Index row_stride(Index first_column) const {
    return stride != 0 ? stride : width_of(columns - first_column);
  }
  [[nodiscard]] const Scalar* panel(Index first_column) const {
    return data + column_step * first_column + first_inner * row_stride(first_column);
  }
  /// B[:, first, first + count), from the start of a panel on, and to the end of one or of B.
  [[nodiscard]] PackedPanels part_of_columns(Index first, Index count) const {
    return {data + column_step * first, inner, count, column_step, stride, first_inner};
  }
  /// B[first, first + count), :].
  [[nodiscard]] PackedPanels part_of_inner(Index first, Index count) const {
    return {data, count, columns, column_step, stride, first_inner + first};
  }
};

namespace detail {

/// One panel: target[k, j] = b(k, first_column + j), zero beyond the last column.
template <class Scalar>
inline void pack_panel(const MatrixView<const Scalar>& b, Index first_column, Index width, Scalar* target) {
  const Index valid = (std::min)(width, b.columns - first_column);
  for (Index k = 0; k < b.rows; ++k, target += width) {
    for_each_register<Scalar>(valid, [&, source = b.row(k) + first_column](const auto& lanes, Index lane) {
      store<Scalar>(lanes.load(source + lane), target + lane);
    });
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
      if (lane < valid && lane + transposed_block <= width && first + transposed_block <= b.columns) {
        transpose_block(b.row(first_column + lane) + first, b.stride, target + first * width + lane, width,
                        (std::min)(transposed_block, valid - lane));
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

/// Whether a B of so many columns will do as it lies: they fill whole registers. Beside what a few tiles read once,
/// packing costs more than it saves. Not so for weights: every micro-batch reads them, and their rows, often a power of
/// two apart, would crowd into a few sets of the first cache.
template <class Scalar>
[[nodiscard]] constexpr bool lies_in_panels(Index columns) {
  return columns % batch_size<Scalar> == 0;
}

/// The panels of B where it lies, or else packed in `target` as above.
template <class Scalar>
inline PackedPanels<Scalar> in_panels(const MatrixView<const Scalar>& b, Scalar* target) {
  return lies_in_panels<Scalar>(b.columns) ? PackedPanels<Scalar>{b.data, b.rows, b.columns, 1, b.stride}
                                           : pack(b, target);
}

/// The same with room in the workspace, if any is needed.
template <class Scalar>
inline PackedPanels<Scalar> in_panels(const MatrixView<const Scalar>& b, Workspace<Scalar>& workspace) {
  const Index room = lies_in_panels<Scalar>(b.columns) ? 0 : PackedPanels<Scalar>::size(b.rows, b.columns);
  return in_panels(b, room > 0 ? workspace.take(1, room).data : nullptr);
}

INCONTEXT_NAMESPACE_END
