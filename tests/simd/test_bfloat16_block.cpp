#include "incontext/simd/bfloat16_block.hpp"

#include "simd/bfloat16_blocks.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace incontext_tests;

namespace {

// One sum of a block, one number at a time, in the order that the processor's manual documents.
template <std::size_t terms>
float plain_sum(const std::array<BlockOperands, terms>& operands, Index row, Index column, float start) {
  float total = start;
  for (const BlockOperands& term : operands) {
    for (Index step = 0; step < term.steps(); ++step) {
      std::array<float, 2> sums = {};  // of the even and of the odd members
      for (Index pair = 0; pair < pairs_in_row; ++pair) {
        const Bfloat16Pair a = term.a[place_in_a(row, step, pair)];
        const Bfloat16Pair b = term.b[place_in_b(column, step, pair)];
        for (const Index number : {0, 1}) {
          float& sum = sums[static_cast<std::size_t>(number)];
          sum = rounded_sum(sum, static_cast<double>(member(a, number)) * static_cast<double>(member(b, number)));
        }
      }
      total = rounded_sum(total, static_cast<double>(rounded_sum(sums[0], static_cast<double>(sums[1]))));
    }
  }
  return total;
}

}  // namespace

TEST_CASE("a block is start + A B in the order of the matrix unit, bit for bit, and nothing beside it is written") {
  check_blocks<1>(incontext::detail::emulated_block, plain_sum<1>);
  check_blocks<3>(incontext::detail::emulated_block, plain_sum<3>);
}
