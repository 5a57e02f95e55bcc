#pragma once
/// \file
/// Blocks of a product of bfloat16 by the dot products of AVX512-BF16, for processors that have these and no matrix
/// unit.
///
/// A dot product of pairs adds the odd members' product to the sum and then the even members', each product exact and
/// each sum rounded to fp32 (Intel, "Architecture Instruction Set Extensions Programming Reference", VDPBF16PS; AMD's
/// processors do the same). That is twice the multiply-adds of fp32, in another order than that of the matrix unit; and
/// numbers below the smallest normal one, 2^-126, are taken for zero here, too.

#include "incontext/simd/bfloat16_block.hpp"

#if defined(__AVX512BF16__)
#define INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS

#include <immintrin.h>
#include <algorithm>
#include <span>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// target = start + the sum over the terms of A B, by dot products. Rows go by eights: sixteen registers of sums are
/// enough to hide the latency, and leave room for what is multiplied. The lines of `awaited` are asked for one with
/// every pair, since many requests at once hold up what is wanted now.
inline void dot_product_block(std::span<const BlockOperands> operands, const BlockSums& sums,
                              const MatrixView<const float>& awaited) {
  constexpr Index together = 8;
  for (Index first = 0; first < sums.rows; first += together) {
    __m512 total[together][2];
    INCONTEXT_UNROLL
    for (Index row = 0; row < together; ++row) {
      total[row][0] = total[row][1] = _mm512_setzero_ps();
      if (sums.start != nullptr) {
        const float* const start = sums.start + (first + row) * sums.start_stride;
        total[row][0] = _mm512_loadu_ps(start);
        total[row][1] = _mm512_loadu_ps(start + 16);
      }
    }
    const bool asks = first + together <= awaited.rows;
    const float* line = asks ? awaited.row(first) : sums.target + first * sums.target_stride;
    Index to_next = asks ? awaited.columns - 1 : 0;  // from the first line of a row to its last, then to the next row
    Index after_next = asks ? awaited.stride - to_next : 0;
    Index lines = 2 * together;
    for (const BlockOperands& term : operands) {
      const Bfloat16Pair* a = term.a + first * pairs_in_row;  // the tiles of a step are [32 rows, 16 pairs]
      const Bfloat16Pair* b = term.b;
      for (Index done = 0; done < term.pairs; done += pairs_in_row, a += 2 * tile_pairs, b += 2 * tile_pairs) {
        const Index pairs = (std::min)(pairs_in_row, term.pairs - done);
        for (Index pair = 0; pair < pairs; ++pair) {
          prefetch(line);
          line += --lines > 0 ? to_next : 0;
          std::swap(to_next, after_next);
          const auto left = (__m512bh)_mm512_loadu_si512(b + pair * 16);
          const auto right = (__m512bh)_mm512_loadu_si512(b + tile_pairs + pair * 16);
          INCONTEXT_UNROLL
          for (Index row = 0; row < together; ++row) {
            const auto both = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[row * pairs_in_row + pair]));
            total[row][0] = _mm512_dpbf16_ps(total[row][0], both, left);
            total[row][1] = _mm512_dpbf16_ps(total[row][1], both, right);
          }
        }
      }
    }
    INCONTEXT_UNROLL
    for (Index row = 0; row < together; ++row) {
      float* const target = sums.target + (first + row) * sums.target_stride;
      _mm512_storeu_ps(target, total[row][0]);
      _mm512_storeu_ps(target + 16, total[row][1]);
    }
  }
}

}  // namespace detail

INCONTEXT_NAMESPACE_END

#endif
