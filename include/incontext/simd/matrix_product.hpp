#pragma once
/// \file
/// Matrix products in the scalar itself, on row-major views: C = start + A B with B in panels, C += A^T B.
///
/// One register tile serves all of them: up to `tile_rows` rows of C times one panel of B stay in registers while the
/// inner dimension runs; A is broadcast, B is read row by row. Every element of C is summed over the inner dimension
/// in ascending order from its start, whatever the sizes around it, so results do not depend on how rows are cut.

#include "incontext/core/function_reference.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/packed_panels.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <array>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// What a product adds to: nothing, a bias for every row, [columns], another matrix (which may be C itself), or both.
template <class Scalar>
struct ProductStart {
  const Scalar* bias = nullptr;
  MatrixView<const Scalar> addend = {};
};

/// Scalars of a tile of C at most.
inline constexpr Index most_tile_scalars = Index{32} * 32;

/// What is done to a tile of C as soon as it is there, while it is in the first cache: the function is called with the
/// tile and the place of its first row and column, and for every element of C once. A tile is enough work to hide an
/// indirect call, so a product is compiled once, whatever is fused with it.
template <class Scalar>
struct TileFinish {
  FunctionReference<void(const MatrixView<Scalar>&, Index, Index)> function = {};
  /// What the function reads at the tile's place besides the tile, of the shape of C, or nothing: it is asked for while
  /// the tile is summed.
  MatrixView<const Scalar> reads = {};

  explicit operator bool() const { return static_cast<bool>(function); }
};

/// What a tile of rows needs of a product: inner indices [first_inner, last_inner) and columns [0, last_column).
struct ProductPart {
  Index first_inner = 0;
  Index last_inner = 0;
  Index last_column = 0;
};

/// The part that rows [first, last) need, called with both, where a mask makes the rest zero; none: all of it.
using PartOfRows = FunctionReference<ProductPart(Index, Index)>;

namespace detail {

/// A read by (row, inner index): either an ordinary matrix or the transposed reading of one.
template <class Scalar>
struct LeftOperand {
  const Scalar* data;
  Index row_stride;
  Index inner_stride;
};

/// 12 x 2 accumulators of 32 registers, 6 x 2 of 16.
#if defined(__AVX512F__) || defined(__ARM_NEON)
inline constexpr int tile_rows = 12;
#else
inline constexpr int tile_rows = 6;
#endif
/// Rows of a tile that is so many registers wide. Where it is one, the more rows share a register of B, the less it is
/// bound by loads, of which every multiply-add takes one for its number of A.
template <int Columns>
inline constexpr int tile_rows_of_width = Columns == 1 ? tile_rows + tile_rows / 3 : tile_rows;
static_assert(tile_rows * panel_columns<float> <= most_tile_scalars);
static_assert(tile_rows_of_width<1> <= panel_registers * tile_rows);
/// The inner dimension is cut here, so that the panel in use stays in the first-level cache or near it: 48 KiB with
/// AVX-512.
inline constexpr Index inner_block = 384;
/// Scalars of A that go with all panels of B before the next rows do: they stay in the second-level cache.
inline constexpr Index left_block = Index{1} << 15;
/// Rows of A^T that are copied side by side: whole cache lines of A.
inline constexpr Index transposed_rows = Index{4} * tile_rows;
/// Whether A^T is read where A, [rows, columns], lies, for a C of so many columns: where A has room in the first-level
/// cache, or all panels of C together read little of it from the second.
template <class Scalar>
[[nodiscard]] constexpr bool is_close(Index rows, Index columns, Index c_columns) {
  const Index bytes = rows * columns * static_cast<Index>(sizeof(Scalar));
  const Index panels = (c_columns + panel_columns<Scalar> - 1) / panel_columns<Scalar>;
  return bytes <= Index{1} << 15 || bytes * panels <= Index{1} << 18;
}

/// What is read or written soon, asked for while a tile is summed: as many rows as the tile has, then `then_rows`
/// others. Of every row it is the lines at both ends of a tile's width.
template <class Scalar>
struct Awaited {
  const Scalar* first;
  Index first_stride;
  const Scalar* then;
  Index then_stride;
  Index then_rows;
};

/// Whether B is more than the first-level cache keeps from one use of a layer to the next: packed, as weights are, and
/// large. What lies as it lay was computed a moment ago.
template <class Scalar>
[[nodiscard]] constexpr bool comes_from_afar(const PackedPanels<Scalar>& b) {
  return b.stride == 0 && b.inner * b.columns * static_cast<Index>(sizeof(Scalar)) > Index{1} << 15;
}

/// C[Rows, Columns registers] = addend + bias + A[Rows, inner] B[inner, Columns registers]; addend and bias may be
/// null. A structure for A would be passed in memory, in other pieces than it is read in: reading it would wait for all
/// stores before it, which are those of the last tile.
template <class Scalar, int Rows, int Columns>
inline void product_tile(Index inner, const Scalar* a, Index a_row_stride, Index a_inner_stride, const Scalar* b,
                         Index b_stride, const Scalar* bias, const Scalar* addend, Index addend_stride, Scalar* c,
                         Index c_stride, const Awaited<Scalar>& awaited) {
  constexpr Index lanes = batch_size<Scalar>;
  Register<Scalar> sum[Rows][Columns];
  INCONTEXT_UNROLL
  for (int column = 0; column < Columns; ++column) {
    const Register<Scalar> start = bias == nullptr ? Register<Scalar>(Scalar{}) : load(bias + column * lanes);
    INCONTEXT_UNROLL
    for (int row = 0; row < Rows; ++row) {
      sum[row][column] = addend == nullptr ? start : start + load(addend + row * addend_stride + column * lanes);
    }
  }
  // A pointer to every fourth row of A: the rows between are within the reach of an address.
  constexpr int fourths = (Rows + 3) / 4;
  const Scalar* a_rows[fourths];
  INCONTEXT_UNROLL
  for (int fourth = 0; fourth < fourths; ++fourth) {
    a_rows[fourth] = a + Index{4} * fourth * a_row_stride;
  }
  const Scalar* asked = awaited.first;
  Index to_next = awaited.first_stride;
  Index to_next_then = awaited.then_stride;
  Index rows_left = Rows;
  for (Index k = 0; k < inner; ++k) {
    prefetch(asked);
    prefetch(asked + Columns * lanes - 1);
    asked += to_next;
    if (--rows_left == 0) {
      asked = awaited.then;
      to_next = to_next_then;
      rows_left = awaited.then_rows;
      to_next_then = 0;
    }
    INCONTEXT_UNROLL
    for (int fourth = 0; fourth < fourths; ++fourth) {
      forget_origin(a_rows[fourth]);
    }
    Register<Scalar> b_row[Columns];
    INCONTEXT_UNROLL
    for (int column = 0; column < Columns; ++column) {
      b_row[column] = load(b + column * lanes);
    }
    INCONTEXT_UNROLL
    for (int row = 0; row < Rows; ++row) {
      const Register<Scalar> a_value(a_rows[row / 4][row % 4 * a_row_stride]);
      INCONTEXT_UNROLL
      for (int column = 0; column < Columns; ++column) {
        sum[row][column] = fused_multiply_add(a_value, b_row[column], sum[row][column]);
      }
    }
    INCONTEXT_UNROLL
    for (int fourth = 0; fourth < fourths; ++fourth) {
      a_rows[fourth] += a_inner_stride;
    }
    b += b_stride;
  }
  forget_origin(c);  // what was computed from it above
  INCONTEXT_UNROLL
  for (int row = 0; row < Rows; ++row) {
    INCONTEXT_UNROLL
    for (int column = 0; column < Columns; ++column) {
      store<Scalar>(sum[row][column], c + row * c_stride + column * lanes);
    }
  }
}

template <class Scalar>
using TileFunction = void (*)(Index, const Scalar*, Index, Index, const Scalar*, Index, const Scalar*, const Scalar*,
                              Index, Scalar*, Index, const Awaited<Scalar>&);

/// The tile functions for 1 row to `tile_rows_of_width`.
template <class Scalar, int Columns>
[[nodiscard]] inline TileFunction<Scalar> tile_function(Index rows) {
  static constexpr auto table = []<int... Rows>(std::integer_sequence<int, Rows...>) {
    return std::array<TileFunction<Scalar>, sizeof...(Rows)>{&product_tile<Scalar, Rows + 1, Columns>...};
  }
  (std::make_integer_sequence<int, tile_rows_of_width<Columns>>{});
  return table[static_cast<std::size_t>(rows - 1)];
}

/// A tile of C of any width up to a panel's; a narrower one goes through a buffer of a panel's width.
template <class Scalar>
inline void product_tile(Index rows, Index columns, Index width, Index inner, const LeftOperand<Scalar>& a,
                         const Scalar* b, Index b_stride, const Scalar* bias, const Scalar* addend, Index addend_stride,
                         Scalar* c, Index c_stride, const Awaited<Scalar>& awaited) {
  const TileFunction<Scalar> tile =
      width == panel_columns<Scalar> ? tile_function<Scalar, panel_registers>(rows) : tile_function<Scalar, 1>(rows);
  if (columns == width) {
    return tile(inner, a.data, a.row_stride, a.inner_stride, b, b_stride, bias, addend, addend_stride, c, c_stride,
                awaited);
  }
  alignas(cache_line_bytes) Scalar buffer[static_cast<std::size_t>(tile_rows * panel_columns<Scalar>)];
  for (Index row = 0; row < rows; ++row) {
    for_each_register<Scalar>(columns, [&](const auto& lanes, Index column) {
      const Register<Scalar> start = bias == nullptr ? Register<Scalar>(Scalar{}) : lanes.load(bias + column);
      store<Scalar>(addend == nullptr ? start : start + lanes.load(addend + row * addend_stride + column),
                    buffer + row * width + column);
    });
  }
  tile(inner, a.data, a.row_stride, a.inner_stride, b, b_stride, nullptr, buffer, width, buffer, width, awaited);
  for (Index row = 0; row < rows; ++row) {
    copy_row<Scalar>(columns, buffer + row * width, c + row * c_stride);
  }
}

/// Rows [first_row, last_row) of one panel of C: start + A B over the part of the product that they need. `a` starts at
/// row `first_row` of A.
template <class Scalar>
inline void product_panel(const LeftOperand<Scalar>& a, const PackedPanels<Scalar>& b, Index first_column,
                          Index first_row, Index last_row, const MatrixView<Scalar>& c,
                          const ProductStart<Scalar>& start, const PartOfRows& part_of,
                          const TileFinish<Scalar>& finish) {
  const Scalar* const panel = b.panel(first_column);
  const Index b_stride = b.row_stride(first_column);
  const Index inner = b.inner;
  const Index width = PackedPanels<Scalar>::width_of(c.columns - first_column);
  const Index columns = (std::min)(width, c.columns - first_column);
  const Index next_panel = first_column + width < c.columns ? first_column + width : first_column;
  const bool asks_for_next_panel = next_panel != first_column && comes_from_afar(b);
  // Tiles of nearly equal height: 81 rows are 6 x 12 + 9, or 4 x 12 + 3 x 11, and the second wastes no broadcast.
  const Index most_rows = width == panel_columns<Scalar> ? tile_rows_of_width<panel_registers> : tile_rows_of_width<1>;
  const Index tiles = (last_row - first_row + most_rows - 1) / most_rows;
  const Index lower = (last_row - first_row) / tiles;
  const Index higher_tiles = (last_row - first_row) % tiles;  // these come first, with a row more
  for (Index block = 0; block == 0 || block < inner; block += inner_block) {
    Index rows = 0;
    for (Index tile = 0, row = first_row; tile < tiles; ++tile, row += rows) {
      rows = tile < higher_tiles ? lower + 1 : lower;
      const ProductPart part = part_of ? part_of(row, row + rows) : ProductPart{0, inner, c.columns};
      const Index first = part.first_inner;
      const Index last = (std::max)(first, part.last_inner);
      const bool is_first = first >= block;
      if (first_column >= part.last_column || first >= block + inner_block || (block >= last && !is_first)) {
        continue;
      }
      const Index from = (std::max)(first, block);
      const Index to = (std::min)(last, block + inner_block);
      Scalar* const target = c.row(row) + first_column;
      // What the blocks before have left in C.
      const Scalar* const onto = is_first ? start.addend.data : c.data;
      const Index onto_stride = is_first ? start.addend.stride : c.stride;
      const Scalar* const addend = onto == nullptr ? nullptr : onto + row * onto_stride + first_column;
      // A tile of C is wanted when the sums are done, and what its finish reads; what the next tile starts from, right
      // after. The panel after this one is asked for once.
      Awaited<Scalar> awaited{target, c.stride, target, c.stride, rows};
      if (finish.reads.data != nullptr) {
        awaited.first = finish.reads.row(row) + first_column;
        awaited.first_stride = finish.reads.stride;
      } else if (addend != nullptr) {
        awaited.first = onto + (tile + 1 < tiles ? (row + rows) * onto_stride + first_column
                                                 : first_row * onto_stride + next_panel);
        awaited.first_stride = onto_stride;
      }
      if (tile == 0 && asks_for_next_panel) {
        awaited.then_stride = b.row_stride(next_panel);
        awaited.then = b.panel(next_panel) + from * awaited.then_stride;
        awaited.then_rows = to - from;
      }
      // Where the rows see the first register's columns only, the others are left as they are.
      const bool is_half = columns > batch_size<Scalar> && part.last_column <= first_column + batch_size<Scalar>;
      product_tile<Scalar>(
          rows, is_half ? batch_size<Scalar> : columns, is_half ? batch_size<Scalar> : width, to - from,
          {a.data + (row - first_row) * a.row_stride + from * a.inner_stride, a.row_stride, a.inner_stride},
          panel + from * b_stride, b_stride, is_first && start.bias != nullptr ? start.bias + first_column : nullptr,
          addend, onto_stride, target, c.stride, awaited);
      if (finish && to == last) {
        finish.function(c.block(row, first_column, rows, columns), row, first_column);
      }
    }
  }
}

}  // namespace detail

/// C = start + A B. Shapes [m, k] [k, n] -> [m, n]; C must not overlap A or B.
template <class Scalar>
inline void multiply(const MatrixView<const Scalar>& a, const PackedPanels<Scalar>& b, const MatrixView<Scalar>& c,
                     const ProductStart<Scalar>& start = {}, const PartOfRows& part_of = {},
                     const TileFinish<Scalar>& finish = {}) {
  const Index most_rows = (std::max)(Index{detail::tile_rows}, detail::left_block / (std::max)(Index{1}, b.inner));
  const Index blocks = (c.rows + most_rows - 1) / most_rows;
  for (Index block = 0; block < blocks; ++block) {
    const Index first = c.rows * block / blocks;
    const Index last = c.rows * (block + 1) / blocks;
    for (Index column = 0; column < c.columns; column += panel_columns<Scalar>) {
      detail::product_panel<Scalar>({a.row(first), a.stride, 1}, b, column, first, last, c, start, part_of, finish);
    }
  }
}

/// C = start + A^T B with B in panels. Shapes [k, m] [k, n] -> [m, n]. A large A is rearranged in the workspace, in
/// blocks of a few cache lines a row, whatever its stride.
template <class Scalar>
inline void multiply_transposed_left(const MatrixView<const Scalar>& a, const PackedPanels<Scalar>& b,
                                     const MatrixView<Scalar>& c, const ProductStart<Scalar>& start,
                                     Workspace<Scalar>& workspace, const PartOfRows& part_of = {}) {
  const bool in_place = detail::is_close<Scalar>(a.rows, c.rows, c.columns);
  const Index together = in_place ? c.rows : detail::transposed_rows;
  const auto mark = workspace.mark();
  const MatrixView<Scalar> room = in_place ? MatrixView<Scalar>{} : workspace.take(a.rows, together);
  for (Index first = 0; first < c.rows; first += together) {
    const Index last = (std::min)(first + together, c.rows);
    MatrixView<const Scalar> block = a.block(0, first, a.rows, last - first);
    if (!in_place) {
      copy_matrix<Scalar>(block, room.block(0, 0, a.rows, last - first));
      block = room;
    }
    for (Index column = 0; column < c.columns; column += panel_columns<Scalar>) {
      detail::product_panel<Scalar>({block.data, 1, block.stride}, b, column, first, last, c, start, part_of, {});
    }
  }
  workspace.release(mark);
}

/// The same with B brought in panels on the way.
template <class Scalar>
inline void multiply_transposed_left(const MatrixView<const Scalar>& a, const MatrixView<const Scalar>& b,
                                     const MatrixView<Scalar>& c, const ProductStart<Scalar>& start,
                                     Workspace<Scalar>& workspace, const PartOfRows& part_of = {}) {
  const auto mark = workspace.mark();
  multiply_transposed_left(a, in_panels(b, workspace), c, start, workspace, part_of);
  workspace.release(mark);
}

INCONTEXT_NAMESPACE_END
