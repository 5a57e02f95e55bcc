#include "incontext/simd/matrix_unit.hpp"

#include "simd/bfloat16_blocks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

using incontext::MatrixUnit;
using namespace incontext_tests;

#if defined(INCONTEXT_HAS_AMX)

TEST_CASE("the emulation has the matrix unit's bits") {
  const MatrixUnit unit;
  const auto check = [&](const auto& operands, Sums& sums, Sums& emulated) {
    unit.compute(operands, sums.view());
    incontext::detail::emulated_block(operands, emulated.view());
    sums.forget_rows_beyond();
    emulated.forget_rows_beyond();
    CHECK(same_bits(sums.target, emulated.target));
  };
  for (const Exponents exponents : {narrow, wide}) {
    for_every_block<1>(exponents, check);
    for_every_block<3>(exponents, check);
  }
}

TEST_CASE("below the smallest normal number, unit and emulation differ by what the unit takes for zero") {
  // The unit makes every subnormal operand and result zero: each of the 34 sums of a step moves by less than the
  // smallest normal number, 2^-126. Operands are within [2^-64, 2^-62), so that products lie around the end of the
  // range. They are multiples of 2^-142, and the 64 of two steps add up to less than 2^-118: no sum rounds.
  const Index steps = 2;
  const MatrixUnit unit;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Stream stream(Key{2}.fold(seed));
    const auto pair = [&] {
      const auto scaled = [&] {
        const float value = std::bit_cast<float>(any_bfloat16(stream, Exponents{1}) << 16U);
        return std::uint32_t{incontext::to_bfloat16(0x1p-63F * value)};
      };
      const std::uint32_t first = scaled();
      return first | (scaled() << 16U);
    };
    std::vector<Bfloat16Pair> a(static_cast<std::size_t>(steps * 2 * tile_pairs));
    std::vector<Bfloat16Pair> b(static_cast<std::size_t>(steps * 2 * tile_pairs));
    std::generate(a.begin(), a.end(), pair);
    std::generate(b.begin(), b.end(), pair);
    const std::array operands{BlockOperands{a.data(), b.data(), steps * pairs_in_row}};
    Sums sums(block_size, Start::none, 0, narrow, Key{3});
    Sums emulated = sums;
    unit.compute(operands, sums.view());
    incontext::detail::emulated_block(operands, emulated.view());
    double largest = 0.0;
    for (Index row = 0; row < block_size; ++row) {
      for (Index column = 0; column < block_size; ++column) {
        largest = (std::max)(largest, std::abs(static_cast<double>(sums.target[sums.place(row, column)]) -
                                               static_cast<double>(emulated.target[sums.place(row, column)])));
      }
    }
    CHECK(largest <= 34.0 * static_cast<double>(steps) * 0x1p-126);
  }
}

#endif

TEST_CASE("infinities and NaN go through a block") {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto block_of = [](float a, float b, float start) {
    std::vector<Bfloat16Pair> rows(static_cast<std::size_t>(block_size * pairs_in_row), 0);
    std::vector<Bfloat16Pair> tiles(static_cast<std::size_t>(2 * tile_pairs), 0);
    for (Index row = 0; row < block_size; ++row) {
      rows[static_cast<std::size_t>(row * pairs_in_row)] = incontext::to_bfloat16(a);
    }
    for (std::size_t column = 0; column < 16; ++column) {
      tiles[column] = tiles[static_cast<std::size_t>(tile_pairs) + column] = incontext::to_bfloat16(b);
    }
    std::vector<float> sums(static_cast<std::size_t>(block_size * block_size), start);
    const MatrixUnit unit;
    unit.compute(std::array{BlockOperands{rows.data(), tiles.data(), 1}},
                 {block_size, sums.data(), block_size, sums.data(), block_size});
    CHECK(same_bits(sums, std::vector<float>(sums.size(), sums.front())));
    return sums.front();
  };
  CHECK(block_of(infinity, -2.0F, 1.0F) == -infinity);
  CHECK(block_of(0x1p100F, 0x1p100F, 1.0F) == infinity);
  CHECK(block_of(3.0F, 5.0F, infinity) == infinity);
  CHECK(std::isnan(block_of(infinity, 0.0F, 1.0F)));
  CHECK(std::isnan(block_of(infinity, 1.0F, -infinity)));
  CHECK(std::isnan(block_of(std::numeric_limits<float>::quiet_NaN(), 0.0F, 1.0F)));
  CHECK(std::isnan(block_of(3.0F, 5.0F, std::numeric_limits<float>::quiet_NaN())));
}
