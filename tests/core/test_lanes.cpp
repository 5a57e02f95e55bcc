#include "incontext/core/lanes.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>

using namespace incontext::detail;
using incontext::Key;

TEST_CASE("lanes: the product of lower halves, whatever is in the upper ones") {
  const WordLanes lanes = lane_numbers() * 0x123456789ABCDEF1U + 0xFFFFFFFFFFFFFFF0U;
  const WordLanes products = multiply_low_half(lanes, 0xFFFFFFFFU);
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    CHECK(products[lane] == (lanes[lane] & 0xFFFFFFFFU) * 0xFFFFFFFFU);
  }
}

TEST_CASE("lanes: look-up in a table, and which lanes are beyond their bounds") {
  const std::array<double, 10> table = {-4.0, 3.5, -2.0, 1.0, -0.0, 0.5, 2.0, -3.0, 4.0, 7.0};
  for (std::uint64_t stride = 0; stride < 9; ++stride) {
    const WordLanes indices = lane_numbers() * stride % 9U;
    const Neighbours values = look_up(table.data(), indices);
    const DoubleLanes bounds = DoubleLanes{} + 2.0;
    const unsigned beyond = lanes_beyond(values.first, bounds);
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      CHECK(values.first[lane] == table[indices[lane]]);
      CHECK(values.second[lane] == table[indices[lane] + 1]);
      CHECK(((beyond >> lane) & 1U) == (values.first[lane] >= 2.0 || values.first[lane] <= -2.0 ? 1U : 0U));
    }
    CHECK((beyond >> lane_count) == 0U);
  }
}

TEST_CASE("lanes: Philox of consecutive counters is Philox of each") {
  const Key key = Key{2026}.fold("lanes");
  for (const std::uint64_t index :
       {std::uint64_t{0}, std::uint64_t{12345}, std::uint64_t{0xFFFFFFFE}, std::uint64_t{0xFFFFFFFFFFFFFFFD}}) {
    const BlockLanes blocks = philox4x32_lanes(index, key.low(), key.high());
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      const auto words = key.block(index + lane);
      CHECK(blocks.first[lane] == ((std::uint64_t{words[1]} << 32U) | words[0]));
      CHECK(blocks.second[lane] == ((std::uint64_t{words[3]} << 32U) | words[2]));
    }
  }
}
