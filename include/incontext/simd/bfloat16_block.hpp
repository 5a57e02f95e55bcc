#pragma once
/// \file
/// The smallest piece of a product of bfloat16: a block of up to 32 x 32 sums. What it is computed from, and how on any
/// processor.
///
/// Operands lie in tiles, as matrix units want them. A tile of A is [16 rows, 16 pairs], a tile of B [16 pairs, 16
/// columns], a pair being two neighbours along the inner dimension; one step takes a block of C through 32 of the inner
/// dimension.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/bfloat16.hpp"

#include <cstdint>
#include <span>

INCONTEXT_NAMESPACE_BEGIN

/// Rows and columns of a block of sums; the inner dimension goes in steps of as many.
inline constexpr Index block_size = 32;
/// Pairs in a tile.
inline constexpr Index tile_pairs = 16 * pairs_in_row;

/// Operands of a block: so many pairs of the inner dimension, in whole steps of 16 with zeros beyond the last. A step
/// of A are its two tiles of 16 rows, one after the other; a step of B its two tiles of 16 columns.
struct BlockOperands {
  const Bfloat16Pair* a = nullptr;
  const Bfloat16Pair* b = nullptr;
  Index pairs = 0;

  [[nodiscard]] constexpr Index steps() const { return (pairs + pairs_in_row - 1) / pairs_in_row; }
};

/// Sums of a block: [rows, 32], read from `start` and written to `target`, which may be the same. A start that is null
/// stands for zeros, a start stride of zero for one row that all rows start from. What computes a block takes rows by
/// fours, eights or sixteens: there is memory for `rows` rounded up to a multiple of 16.
struct BlockSums {
  Index rows = block_size;
  const float* start = nullptr;
  Index start_stride = 0;
  float* target = nullptr;
  Index target_stride = 0;
};

namespace detail {

/// target = start + the sum over the terms of A B, on vectors of floats, in the order of the matrix unit: within a step
/// the even and the odd members of the pairs are summed apart, in ascending order, each product exact and each sum
/// rounded to fp32; then the two sums are added, and the result to C (Intel, "Architecture Instruction Set Extensions
/// Programming Reference", TDPBF16PS). These are the unit's bits, but for numbers below the smallest normal one,
/// 2^-126: the unit takes them for zero.
inline void emulated_block(std::span<const BlockOperands> operands, const BlockSums& sums) {
  constexpr Index lanes = batch_size<float>;
  using Bits = xsimd::batch<std::uint32_t>;
  const auto even_of = [](const Bits& pairs) { return xsimd::bitwise_cast<Batch<float>>(pairs << 16); };
  const auto odd_of = [](const Bits& pairs) { return xsimd::bitwise_cast<Batch<float>>(pairs & Bits(0xFFFF0000U)); };
  constexpr Index together = 4;  // rows, so that their sums run side by side
  for (Index column = 0; column < block_size; column += lanes) {
    for (Index first = 0; first < sums.rows; first += together) {
      Batch<float> total[together];
      INCONTEXT_UNROLL
      for (Index row = 0; row < together; ++row) {
        total[row] = sums.start == nullptr ? Batch<float>(0.0F)
                                           : load<float>(sums.start + (first + row) * sums.start_stride + column);
      }
      for (const BlockOperands& term : operands) {
        for (Index step = 0; step < term.steps(); ++step) {
          const Bfloat16Pair* b = term.b + step * 2 * tile_pairs + column / 16 * tile_pairs + column % 16;
          Batch<float> even[together];
          Batch<float> odd[together];
          INCONTEXT_UNROLL
          for (Index row = 0; row < together; ++row) {
            even[row] = odd[row] = Batch<float>(0.0F);
          }
          for (Index pair = 0; pair < pairs_in_row; ++pair) {
            const Bits bits = Bits::load_unaligned(b + pair * 16);
            const Batch<float> b_even = even_of(bits);
            const Batch<float> b_odd = odd_of(bits);
            INCONTEXT_UNROLL
            for (Index row = 0; row < together; ++row) {
              const Bits a(term.a[step * 2 * tile_pairs + (first + row) * pairs_in_row + pair]);
              even[row] = fused_multiply_add(even_of(a), b_even, even[row]);
              odd[row] = fused_multiply_add(odd_of(a), b_odd, odd[row]);
            }
          }
          INCONTEXT_UNROLL
          for (Index row = 0; row < together; ++row) {
            total[row] += even[row] + odd[row];
          }
        }
      }
      INCONTEXT_UNROLL
      for (Index row = 0; row < together; ++row) {
        store<float>(total[row], sums.target + (first + row) * sums.target_stride + column);
      }
    }
  }
}

}  // namespace detail

INCONTEXT_NAMESPACE_END
