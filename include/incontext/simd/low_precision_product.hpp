#pragma once
/// \file
/// Matrix products of floats whose operands are rounded to bfloat16, or split into two: C = start + A B, C += A^T B.

#include "incontext/core/matrix.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/simd/bfloat16.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/matrix_unit.hpp"
#include "incontext/simd/precision.hpp"
#include "incontext/simd/transpose.hpp"

#include <algorithm>
#include <new>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

static_assert(block_size * block_size <= most_tile_scalars);

[[nodiscard]] constexpr Index whole_blocks(Index count) { return (count + block_size - 1) / block_size * block_size; }

/// Memory of floats as memory of pairs: two bfloat16 take the room of one float.
[[nodiscard]] inline Bfloat16Pair* as_pairs(float* memory, Index count) {
  static_assert(sizeof(Bfloat16Pair) == sizeof(float));
  return ::new (static_cast<void*>(memory)) Bfloat16Pair[static_cast<std::size_t>(count)];
}

/// A tile's worth of rows of a matrix, with zeros beyond its edge: [16, 32].
class PaddedRows {
 public:
  /// A pointer to 32 readable floats: row `row` of `matrix` from `column` on, zeros outside of it.
  const float* at(const MatrixView<const float>& matrix, Index row, Index column) {
    if (row < matrix.rows && column + block_size <= matrix.columns) {
      return matrix.row(row) + column;
    }
    std::fill(values_, values_ + block_size, 0.0F);
    if (row < matrix.rows && column < matrix.columns) {
      std::copy(matrix.row(row) + column, matrix.row(row) + matrix.columns, values_);
    }
    return values_;
  }

 private:
  float values_[block_size] = {};
};

/// Tiles of B, [inner, columns]: for every panel of 32 columns, for every 32 of the inner dimension, two tiles
/// [16 pairs, 16 columns].
inline void tiles_of(Part part, const MatrixView<const float>& b, Bfloat16Pair* target) {
  PaddedRows even;
  PaddedRows odd;
  for (Index column = 0; column < b.columns; column += block_size) {
    for (Index k = 0; k < b.rows; k += block_size, target += 2 * tile_pairs) {
      for (Index pair = 0; pair < pairs_in_row; ++pair) {
        const float* first = even.at(b, k + 2 * pair, column);
        const float* second = odd.at(b, k + 2 * pair + 1, column);
        pair_rows(part, first, second, target + pair * 16);
        pair_rows(part, first + 16, second + 16, target + tile_pairs + pair * 16);
      }
    }
  }
}

/// The same of B^T, given B as [columns, inner].
inline void tiles_of_transposed(Part part, const MatrixView<const float>& b, Bfloat16Pair* target) {
  PaddedRows padded_row;
  Bfloat16Pair rows[tile_pairs];
  for (Index column = 0; column < b.rows; column += block_size) {
    for (Index k = 0; k < b.columns; k += block_size) {
      for (Index half = 0; half < 2; ++half, target += tile_pairs) {
        for (Index row = 0; row < 16; ++row) {
          pair_neighbours(part, padded_row.at(b, column + half * 16 + row, k), rows + row * pairs_in_row);
        }
        transpose_block(rows, pairs_in_row, target, pairs_in_row);
      }
    }
  }
}

/// Where the pairs of a row of A lie, from an element of the inner dimension on that a tile begins with: for every
/// block of 32 rows, for every 32 of the inner dimension, two tiles [16 rows, 16 pairs]. So the unit reads them in
/// order.
[[nodiscard]] constexpr Index place_in_left_tiles(Index inner, Index row, Index k) {
  const Index steps = whole_blocks(inner) / block_size;
  return (row / block_size * steps + k / block_size) * 2 * tile_pairs + row % block_size * pairs_in_row;
}

/// Tiles of A, [rows, inner]. Rows beyond A stay as they are.
inline void left_tiles_of(Part part, const MatrixView<const float>& a, Bfloat16Pair* target) {
  PaddedRows padded_row;
  for (Index row = 0; row < a.rows; ++row) {
    Bfloat16Pair* place = target + place_in_left_tiles(a.columns, row, 0);
    for (Index k = 0; k < a.columns; k += block_size, place += 2 * tile_pairs) {
      pair_neighbours(part, padded_row.at(a, row, k), place);
    }
  }
}

/// The same of A^T, given A as [inner, rows].
inline void left_tiles_of_transposed(Part part, const MatrixView<const float>& a, Bfloat16Pair* target) {
  PaddedRows even;
  PaddedRows odd;
  Bfloat16Pair pairs[2 * tile_pairs];
  for (Index k = 0; k < a.rows; k += block_size) {
    for (Index row = 0; row < a.columns; row += block_size) {
      for (Index pair = 0; pair < pairs_in_row; ++pair) {
        const float* first = even.at(a, k + 2 * pair, row);
        const float* second = odd.at(a, k + 2 * pair + 1, row);
        pair_rows(part, first, second, pairs + pair * 16);
        pair_rows(part, first + 16, second + 16, pairs + tile_pairs + pair * 16);
      }
      Bfloat16Pair* const tiles = target + place_in_left_tiles(a.rows, row, k);
      for (const Index half : {Index{0}, tile_pairs}) {
        transpose_block(pairs + half, pairs_in_row, tiles + half, pairs_in_row);
      }
    }
  }
}

}  // namespace detail

/// The right operand of low-precision products in tiles: the bfloat16 nearest to it, and for bf16x3 what they leave.
struct PackedTiles {
  const Bfloat16Pair* high = nullptr;
  const Bfloat16Pair* low = nullptr;  ///< null for bf16
  Index inner = 0;
  Index columns = 0;
  Index whole_inner = inner;  ///< of the tiles in memory, where these are a part of them

  /// Pairs from a panel of 32 columns to the next.
  [[nodiscard]] Index panel_pairs() const { return detail::whole_blocks(whole_inner) * block_size / 2; }
  /// B[:, first, first + count): both multiples of 32, or to the end of B.
  [[nodiscard]] PackedTiles part_of_columns(Index first, Index count) const {
    return from(first / block_size * panel_pairs(), inner, count);
  }
  /// B[first, first + count), :], likewise.
  [[nodiscard]] PackedTiles part_of_inner(Index first, Index count) const {
    return from(first * block_size / 2, count, columns);
  }

  /// Floats' worth of memory for the tiles of a matrix.
  static constexpr Index size(Precision precision, Index inner, Index columns) {
    return detail::whole_blocks(inner) * detail::whole_blocks(columns) / (precision == Precision::bf16 ? 2 : 1);
  }

 private:
  [[nodiscard]] PackedTiles from(Index pairs, Index its_inner, Index its_columns) const {
    return {high + pairs, low == nullptr ? nullptr : low + pairs, its_inner, its_columns, whole_inner};
  }
};

/// The tiles of B, or of B^T; `target` has room for PackedTiles::size floats.
inline PackedTiles pack_tiles(Precision precision, const MatrixView<const float>& b, float* target,
                              Orientation orientation = Orientation::as_stored) {
  const bool is_turned = orientation == Orientation::transposed;
  const bool has_low = precision == Precision::bf16x3;
  const Index pairs = PackedTiles::size(Precision::bf16, b.rows, b.columns);
  Bfloat16Pair* const high = detail::as_pairs(target, PackedTiles::size(precision, b.rows, b.columns));
  Bfloat16Pair* const low = has_low ? high + pairs : nullptr;
  (is_turned ? detail::tiles_of_transposed : detail::tiles_of)(Part::high, b, high);
  if (has_low) {
    (is_turned ? detail::tiles_of_transposed : detail::tiles_of)(Part::low, b, low);
  }
  return {high, low, is_turned ? b.columns : b.rows, is_turned ? b.rows : b.columns};
}

/// The left operand of low-precision products in tiles.
struct LeftTiles {
  const Bfloat16Pair* high = nullptr;
  const Bfloat16Pair* low = nullptr;  ///< null for bf16
};

/// The tiles of A, or of A^T, in the workspace.
inline LeftTiles pack_left_tiles(Precision precision, const MatrixView<const float>& a, Orientation orientation,
                                 Workspace<float>& workspace) {
  const bool is_turned = orientation == Orientation::transposed;
  const Index size = detail::whole_blocks(a.rows) * detail::whole_blocks(a.columns) / 2;
  const auto take = [&] { return detail::as_pairs(workspace.take(1, size).data, size); };
  const auto fill = [&](Part part, Bfloat16Pair* target) {
    (is_turned ? detail::left_tiles_of_transposed : detail::left_tiles_of)(part, a, target);
    return target;
  };
  const Bfloat16Pair* const high = fill(Part::high, take());
  return {high, precision == Precision::bf16x3 ? fill(Part::low, take()) : nullptr};
}

/// C = start + A B with bfloat16 operands, both in tiles. Shapes [m, k] [k, n] -> [m, n]. Goes by blocks of 32 x 32:
/// whole ones from where the start lies to where C does, those at the edges through a buffer.
inline void multiply(const LeftTiles& a, const PackedTiles& b, const MatrixView<float>& c,
                     const ProductStart<float>& start, const TileFinish<float>& finish = {}) {
  const MatrixUnit unit;
  const Index steps = detail::whole_blocks(b.inner) / block_size;
  const Index pairs = (b.inner + 1) / 2;
  const Index panel = b.panel_pairs();
  alignas(cache_line_bytes) float buffer[block_size * block_size] = {};
  const auto compute = [&](Index row, Index column, const BlockSums& sums, const MatrixView<const float>& awaited) {
    const Bfloat16Pair* const tiles = b.high + column / block_size * panel;
    const Index rows = detail::place_in_left_tiles(b.inner, row, 0);
    const BlockOperands both_high{a.high + rows, tiles, pairs};
    if (b.low == nullptr) {
      return unit.compute({&both_high, 1}, sums, awaited);
    }
    const Bfloat16Pair* const rest = b.low + column / block_size * panel;  // the small products first
    const BlockOperands terms[] = {{a.high + rows, rest, pairs}, {a.low + rows, tiles, pairs}, both_high};
    unit.compute(terms, sums, awaited);
  };
  const auto block_of = [&](const auto& matrix, Index row, Index column) {
    return matrix.block(row, column, (std::min)(block_size, c.rows - row), (std::min)(block_size, c.columns - column));
  };
  const auto block = [&](Index row, Index column, const MatrixView<float>& target,
                         const MatrixView<const float>& awaited) {
    const float* const bias = start.bias == nullptr ? nullptr : start.bias + column;
    const float* const addend = start.addend.data == nullptr ? nullptr : start.addend.row(row) + column;
    const bool is_whole = target.rows == block_size && target.columns == block_size;
    if (is_whole && (addend == nullptr || bias == nullptr)) {
      const Index stride = addend != nullptr ? start.addend.stride : 0;
      return compute(row, column, {block_size, addend != nullptr ? addend : bias, stride, target.data, target.stride},
                     awaited);
    }
    for (Index within = 0; within < target.rows; ++within) {
      float* const sums = buffer + within * block_size;
      const float* const its_addend = addend == nullptr ? nullptr : addend + within * start.addend.stride;
      if (bias != nullptr && its_addend != nullptr) {
        transform_row<float>(
            target.columns, sums, [](const auto& left, const auto& right) { return left + right; }, its_addend, bias);
      } else if (bias != nullptr || its_addend != nullptr) {
        std::copy_n(bias != nullptr ? bias : its_addend, target.columns, sums);
      } else {
        std::fill_n(sums, target.columns, 0.0F);
      }
    }
    const MatrixView<float> sums(buffer, target.rows, target.columns, block_size);
    const MatrixView<float>& into = is_whole ? target : sums;
    compute(row, column, {target.rows, buffer, block_size, into.data, into.stride}, awaited);
    if (!is_whole) {
      copy_matrix<float>(sums, target);
    }
  };
  // Panels of B that fit the first cache together meet every block of A there. While a block is summed, what its finish
  // reads is on its way, or else the next block's sums.
  constexpr Index first_cache_pairs = Index{1} << 13;
  const Index stride =
      (std::max)(Index{1}, first_cache_pairs / (std::max)(steps * 2 * tile_pairs, Index{1})) * block_size;
  for (Index first = 0; first < c.columns; first += stride) {
    const Index last = (std::min)(first + stride, c.columns);
    for (Index row = 0; row < c.rows; row += block_size) {
      for (Index column = first; column < last; column += block_size) {
        const bool is_last = column + block_size >= last;
        const MatrixView<float> sums = block_of(c, row, column);
        const MatrixView<const float> next =
            block_of(c, is_last ? row + block_size : row, is_last ? first : column + block_size);
        block(row, column, sums, finish.reads.data != nullptr ? block_of(finish.reads, row, column) : next);
        if (finish) {
          finish.function(sums, row, column);
        }
      }
    }
  }
}

INCONTEXT_NAMESPACE_END
