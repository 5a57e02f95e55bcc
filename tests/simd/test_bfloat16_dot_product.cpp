#include "incontext/simd/bfloat16_dot_product.hpp"

#include "simd/bfloat16_blocks.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <span>
#include <vector>

using namespace incontext_tests;

#if defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)

namespace {

// One sum of a block, one number at a time, in the order that the processors' manuals document.
template <std::size_t terms>
float plain_sum(const std::array<BlockOperands, terms>& operands, Index row, Index column, float start) {
  float sum = start;
  for (const BlockOperands& term : operands) {
    for (Index index = 0; index < term.pairs; ++index) {
      const Bfloat16Pair a = term.a[place_in_a(row, index / pairs_in_row, index % pairs_in_row)];
      const Bfloat16Pair b = term.b[place_in_b(column, index / pairs_in_row, index % pairs_in_row)];
      for (const Index number : {1, 0}) {
        sum = rounded_sum(sum, static_cast<double>(member(a, number)) * static_cast<double>(member(b, number)));
      }
    }
  }
  return sum;
}

}  // namespace

#endif

TEST_CASE("where there are dot products, a block is start + A B in their order, and nothing beside it is written") {
#if defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)
  // Whatever is awaited meanwhile: nothing, few rows, all.
  std::vector<float> others(static_cast<std::size_t>(block_size * block_size), 1.5F);
  const std::vector<float> before = others;
  for (const Index rows : {Index{-5}, Index{0}, Index{3}, Index{16}, block_size}) {
    const auto compute = [&](std::span<const BlockOperands> operands, const BlockSums& sums) {
      incontext::detail::dot_product_block(operands, sums, {others.data(), rows, block_size});
    };
    check_blocks<1>(compute, plain_sum<1>);
    check_blocks<3>(compute, plain_sum<3>);
  }
  CHECK(same_bits(others, before));
#endif
}

TEST_CASE("where there are dot products, they take a sum below the smallest normal number for zero") {
#if defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)
  const std::vector<Bfloat16Pair> half(2 * static_cast<std::size_t>(tile_pairs), 0x3F00);  // (1/2, 0)
  for (const float start : {0x1p-126F, -0x1p-126F}) {
    std::vector<Bfloat16Pair> small(half.size(), start < 0 ? 0x0080U : 0x8080U);  // (-start, 0)
    std::vector<float> sums(static_cast<std::size_t>(block_size * block_size), start);
    incontext::detail::dot_product_block(std::array{BlockOperands{small.data(), half.data(), 1}},
                                         {block_size, sums.data(), block_size, sums.data(), block_size}, {});
    CHECK(same_bits(sums, std::vector<float>(sums.size(), std::copysign(0.0F, start))));
  }
#endif
}
