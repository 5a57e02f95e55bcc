#include "incontext/simd/bfloat16.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using incontext::Bfloat16;
using incontext::Bfloat16Pair;
using incontext::Index;
using incontext::Key;
using incontext::pair_neighbours;
using incontext::pair_rows;
using incontext::pairs_in_row;
using incontext::Part;
using incontext::part_of;
using incontext::Stream;
using incontext::to_bfloat16;
using incontext::to_bfloat16_rest;
using incontext::to_float;

namespace {

constexpr std::uint32_t all_bfloat16 = 0x10000;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float smallest_normal = std::numeric_limits<float>::min();

float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

bool is_subnormal(Bfloat16 value) { return (value & 0x7F80U) == 0 && (value & 0x007FU) != 0; }
bool is_nan(Bfloat16 value) { return (value & 0x7FFFU) > 0x7F80U; }

// Any 32 bits: all signs and exponents, NaN among them.
float any_float(Stream& stream) { return float_of(static_cast<std::uint32_t>(stream.integer(Index{1} << 32))); }

// Where conversions go wrong, of both signs: zeros, subnormals, ties, the ends of the range, infinities and NaN quiet
// and signalling.
std::vector<float> special_values() {
  std::vector<float> values;
  for (const std::uint32_t bits :
       {0x00000000U, 0x00000001U, 0x00008000U, 0x007FFFFFU, 0x00800000U, 0x00800001U, 0x00808000U,
        0x00817FFFU, 0x0C008001U, 0x3F800000U, 0x3F807FFFU, 0x3F808000U, 0x3F808001U, 0x3F818000U,
        0x3FFFFFFFU, 0x7F7F0000U, 0x7F7F7FFFU, 0x7F7F8000U, 0x7F7FFFFFU, 0x7F800000U, 0x7F800001U,
        0x7F80FFFFU, 0x7FBFFFFFU, 0x7FC00000U, 0x7FC12345U, 0x7FFFFFFFU}) {
    values.push_back(float_of(bits));
    values.push_back(float_of(bits | 0x80000000U));
  }
  return values;
}

// Rows of `count` floats: the special values at every place in turn, then floats of any bits.
std::vector<std::vector<float>> example_rows(Index count) {
  std::vector<std::vector<float>> rows;
  const std::vector<float> special = special_values();
  for (std::size_t shift = 0; shift < special.size(); ++shift) {
    std::vector<float> row;
    for (Index index = 0; index < count; ++index) {
      row.push_back(special[(shift + static_cast<std::size_t>(index)) % special.size()]);
    }
    rows.push_back(row);
  }
  Stream stream(Key{1});
  for (int repetition = 0; repetition < 2000; ++repetition) {
    std::vector<float> row;
    for (Index index = 0; index < count; ++index) {
      row.push_back(any_float(stream));
    }
    rows.push_back(row);
  }
  return rows;
}

Bfloat16Pair pair_of(Part part, float first, float second) {
  return Bfloat16Pair{part_of(part, first)} | (Bfloat16Pair{part_of(part, second)} << 16U);
}

}  // namespace

TEST_CASE("every bfloat16 is a float and comes back to its bits; subnormal ones become zero, NaN quiet") {
  Index wrong = 0;
  for (std::uint32_t bits = 0; bits < all_bfloat16; ++bits) {
    const auto value = static_cast<Bfloat16>(bits);
    const auto sign = static_cast<Bfloat16>(bits & 0x8000U);
    const auto quiet = static_cast<Bfloat16>(bits | 0x0040U);
    const Bfloat16 expected = is_subnormal(value) ? sign : is_nan(value) ? quiet : value;
    wrong += to_bfloat16(to_float(value)) == expected ? 0 : 1;
    wrong += std::isnan(to_float(value)) == is_nan(value) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a float between two bfloat16 goes to the nearer one, in the middle to the even one") {
  Index wrong = 0;
  // From the smallest normal number to the largest, whose upper neighbour is infinity.
  for (std::uint32_t bits = 0x0080; bits < 0x7F80; ++bits) {
    for (const std::uint32_t sign : {0x0000U, 0x8000U}) {
      const std::uint32_t lower = bits | sign;
      const std::uint32_t upper = lower + 1;
      const std::uint32_t middle = (lower << 16U) | 0x8000U;
      wrong += to_bfloat16(float_of(middle - 1)) == lower ? 0 : 1;
      wrong += to_bfloat16(float_of(middle)) == (lower % 2 == 0 ? lower : upper) ? 0 : 1;
      wrong += to_bfloat16(float_of(middle + 1)) == upper ? 0 : 1;
      wrong += to_bfloat16(float_of((lower << 16U) | 1U)) == lower ? 0 : 1;
      wrong += to_bfloat16(float_of((upper << 16U) - 1U)) == upper ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("rounding errs by half a unit in the last of eight places") {
  Stream stream(Key{2});
  Index wrong = 0;
  for (int repetition = 0; repetition < 200'000; ++repetition) {
    const float value = any_float(stream);
    const float rounded = to_float(to_bfloat16(value));
    if (std::isnormal(value) && std::isfinite(rounded)) {
      const int exponent = std::ilogb(value);
      wrong += std::abs(double{value} - double{rounded}) <= std::ldexp(1.0, exponent - 8) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("infinities stay, NaN stays NaN of its sign, the largest floats overflow, subnormal ones become zeros") {
  CHECK(to_float(to_bfloat16(infinity)) == infinity);
  CHECK(to_float(to_bfloat16(-infinity)) == -infinity);
  const float largest = std::numeric_limits<float>::max();
  CHECK(to_float(to_bfloat16(largest)) == infinity);
  CHECK(to_float(to_bfloat16(-largest)) == -infinity);
  CHECK(to_bfloat16(float_of(0x7F7F7FFFU)) == 0x7F7F);
  CHECK(to_bfloat16(float_of(0x7F7F8000U)) == 0x7F80);
  // NaN whose upper half alone would be an infinity, or whose rounding would carry into the sign.
  for (const std::uint32_t bits : {0x7F800001U, 0x7F80FFFFU, 0x7FBFFFFFU, 0x7FC00000U, 0x7FFFFFFFU}) {
    for (const std::uint32_t sign : {0U, 0x80000000U}) {
      const Bfloat16 rounded = to_bfloat16(float_of(bits | sign));
      CHECK(is_nan(rounded));
      CHECK((rounded & 0x8000U) == sign >> 16U);
    }
  }
  for (const std::uint32_t bits : {0x00000000U, 0x00000001U, 0x00008001U, 0x007FFFFFU}) {
    CHECK(to_bfloat16(float_of(bits)) == 0x0000);
    CHECK(to_bfloat16(float_of(bits | 0x80000000U)) == 0x8000);
  }
  CHECK(to_bfloat16(smallest_normal) == 0x0080);
}

TEST_CASE("a float is the sum of its two parts within 2^-17") {
  Stream stream(Key{3});
  Index wrong = 0;
  Index seen = 0;
  for (int repetition = 0; repetition < 200'000; ++repetition) {
    const float value = any_float(stream);
    const double high = to_float(to_bfloat16(value));
    const double low = to_float(to_bfloat16_rest(value));
    if (!std::isnormal(value) || !std::isfinite(high)) {
      continue;
    }
    ++seen;
    // With 2^e <= |value| < 2^(e + 1), the rest is a float and at most 2^(e - 8). If it is that, it is a bfloat16; if
    // it is less, rounding it to eight places errs by at most 2^(e - 9 - 8). A subnormal rest is lost.
    const double size = std::abs(double{value});
    wrong += std::abs(value - (high + low)) <= 0x1p-17 * size + double{smallest_normal} ? 0 : 1;
    wrong += std::abs(low) <= 0x1p-8 * size ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(seen > 100'000);
}

TEST_CASE("a float of sixteen significant bits is the sum of its two parts exactly") {
  Stream stream(Key{4});
  Index wrong = 0;
  for (int repetition = 0; repetition < 100'000; ++repetition) {
    const float any = any_float(stream);
    const float value = float_of(std::bit_cast<std::uint32_t>(any) & 0xFFFFFF00U);
    const float high = to_float(to_bfloat16(value));
    // The last of the sixteen places is 2^-15 of the first: below 2^-111 it may be subnormal.
    if (std::isfinite(high) && std::abs(value) >= 0x1p-111F) {
      wrong += high + to_float(to_bfloat16_rest(value)) == value ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("what is not finite, or rounds to what is not, leaves no rest") {
  for (const float value :
       {infinity, -infinity, std::numeric_limits<float>::max(), -std::numeric_limits<float>::max(),
        float_of(0x7F7F8000U), float_of(0x7FC00000U), float_of(0xFFC00000U), float_of(0x7F800001U)}) {
    CHECK(to_bfloat16_rest(value) == 0);
  }
  for (const float value : {0.0F, -0.0F, 1.0F, -3.0F, smallest_normal}) {
    CHECK((to_bfloat16_rest(value) & 0x7FFFU) == 0);  // a bfloat16 already
  }
}

TEST_CASE("a part of a float is its bfloat16 or the rest of it") {
  for (const float value : special_values()) {
    CHECK(part_of(Part::high, value) == to_bfloat16(value));
    CHECK(part_of(Part::low, value) == to_bfloat16_rest(value));
  }
}

TEST_CASE("rows of pairs have the bits of the conversions one by one") {
  Index wrong = 0;
  const auto check = [&](Part part, const std::vector<float>& row) {
    // One more pair, to see that none is written but sixteen.
    std::vector<Bfloat16Pair> neighbours(static_cast<std::size_t>(pairs_in_row) + 1, 0xABCD1234U);
    std::vector<Bfloat16Pair> rows = neighbours;
    pair_neighbours(part, row.data(), neighbours.data());
    pair_rows(part, row.data(), row.data() + pairs_in_row, rows.data());
    for (std::size_t pair = 0; pair < static_cast<std::size_t>(pairs_in_row); ++pair) {
      wrong += neighbours[pair] == pair_of(part, row[2 * pair], row[2 * pair + 1]) ? 0 : 1;
      wrong += rows[pair] == pair_of(part, row[pair], row[pair + static_cast<std::size_t>(pairs_in_row)]) ? 0 : 1;
    }
    wrong += neighbours.back() == 0xABCD1234U && rows.back() == 0xABCD1234U ? 0 : 1;
  };
  for (const std::vector<float>& row : example_rows(2 * pairs_in_row)) {
    check(Part::high, row);
    check(Part::low, row);
  }
  CHECK(wrong == 0);
}
