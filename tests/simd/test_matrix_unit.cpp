#include "incontext/simd/matrix_unit.hpp"

#include "incontext/core/key.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using incontext::Bfloat16Pair;
using incontext::block_size;
using incontext::BlockOperands;
using incontext::BlockSums;
using incontext::Index;
using incontext::Key;
using incontext::MatrixUnit;
using incontext::pairs_in_row;
using incontext::Stream;
using incontext::tile_pairs;
using incontext_tests::same_bits;

namespace {

// Powers of two from 2^-size to 2^size.
struct Exponents {
  Index size;
};

std::uint32_t any_bfloat16(Stream& stream, Exponents exponents) {
  const auto exponent = static_cast<std::uint32_t>(127 - exponents.size + stream.integer(2 * exponents.size));
  const auto sign_and_significand = static_cast<std::uint32_t>(stream.integer(256));
  return ((sign_and_significand & 0x80U) << 8U) | (exponent << 7U) | (sign_and_significand & 0x7FU);
}

// Where a pair of a row of A lies, and one of a column of B: two tiles a step.
std::size_t place_in_a(Index row, Index step, Index pair) {
  return static_cast<std::size_t>((step * 2 + row / 16) * tile_pairs + row % 16 * pairs_in_row + pair);
}
std::size_t place_in_b(Index column, Index step, Index pair) {
  return static_cast<std::size_t>((step * 2 + column / 16) * tile_pairs + pair * 16 + column % 16);
}

// One term of a product, with memory. Rows of A beyond the block's are NaN.
class Term {
 public:
  Term(Index steps, Index rows, Exponents exponents, Key key)
      : steps_(steps),
        a_(static_cast<std::size_t>(steps * 2 * tile_pairs), 0xFFFFFFFFU),
        b_(static_cast<std::size_t>(steps * 2 * tile_pairs)) {
    Stream stream(key);
    const auto pair = [&] { return any_bfloat16(stream, exponents) | (any_bfloat16(stream, exponents) << 16U); };
    for (Index row = 0; row < rows; ++row) {
      for (Index index = 0; index < steps * pairs_in_row; ++index) {
        a_[place_in_a(row, index / pairs_in_row, index % pairs_in_row)] = pair();
      }
    }
    for (Bfloat16Pair& both : b_) {
      both = pair();
    }
  }
  [[nodiscard]] BlockOperands operands() const { return {a_.data(), b_.data(), steps_}; }

 private:
  Index steps_;
  std::vector<Bfloat16Pair> a_;
  std::vector<Bfloat16Pair> b_;
};

template <std::size_t terms>
class Terms {
 public:
  Terms(Index steps, Index rows, Exponents exponents, Key key) {
    for (std::size_t term = 0; term < terms; ++term) {
      terms_.emplace_back(steps, rows, exponents, key.fold(term));
    }
  }
  [[nodiscard]] std::array<BlockOperands, terms> operands() const {
    std::array<BlockOperands, terms> result;
    for (std::size_t term = 0; term < terms; ++term) {
      result[term] = terms_[term].operands();
    }
    return result;
  }

 private:
  std::vector<Term> terms_;
};

float member(Bfloat16Pair pair, Index number) {
  return std::bit_cast<float>(number == 0 ? pair << 16U : pair & 0xFFFF0000U);
}

// The sum of a float and a term that a double holds exactly, rounded to float. Rounding to double first does no harm,
// for a sum of two floats: 53 >= 2 * 24 + 2 (Figueroa 1995, "When is double rounding innocuous?").
float rounded_sum(float sum, double term) { return static_cast<float>(static_cast<double>(sum) + term); }

// One sum of a block, one number at a time, in the order that the processor's manual documents.
template <std::size_t terms>
float plain_sum(const std::array<BlockOperands, terms>& operands, Index row, Index column, float start) {
  float total = start;
  for (const BlockOperands& term : operands) {
    for (Index step = 0; step < term.steps; ++step) {
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

enum class Start { none, row, matrix, in_place };

// The memory of a block's sums and of its start, larger than the block in every direction.
struct Sums {
  Sums(Index rows, Start start, Index gap, Exponents exponents, Key key)
      : number(rows), kind(start), stride(block_size + gap), target(size(), untouched()), from(size(), untouched()) {
    Stream stream(key);
    for (float& value : from) {
      value = std::bit_cast<float>(any_bfloat16(stream, exponents) << 16U) * 1.2345F;
    }
    if (kind == Start::in_place) {
      target = from;
    }
  }
  [[nodiscard]] BlockSums view() {
    const float* const start = kind == Start::none ? nullptr : kind == Start::in_place ? target.data() : from.data();
    return {number, start, kind == Start::row ? 0 : stride, target.data(), stride};
  }
  [[nodiscard]] float start_of(Index row, Index column) const {
    return kind == Start::none ? 0.0F : from[place(kind == Start::row ? 0 : row, column)];
  }
  // What the memory must hold afterwards, given the block's elements.
  template <class Element>
  [[nodiscard]] std::vector<float> expected(Element&& element) const {
    std::vector<float> values = kind == Start::in_place ? from : std::vector<float>(size(), untouched());
    for (Index row = 0; row < number; ++row) {
      for (Index column = 0; column < block_size; ++column) {
        values[place(row, column)] = element(row, column);
      }
    }
    return values;
  }
  [[nodiscard]] std::size_t place(Index row, Index column) const {
    return static_cast<std::size_t>(row * stride + column);
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>((block_size + 1) * stride); }
  static float untouched() { return std::bit_cast<float>(0x7FC0BEEFU); }

  Index number;
  Start kind;
  Index stride;
  std::vector<float> target;
  std::vector<float> from;
};

// Calls `check(terms' operands, sums, sums again)` for every kind of block.
template <std::size_t terms, class Check>
void for_every_block(Exponents exponents, Check check) {
  std::uint64_t number = 0;
  for (const Index rows : {16, 32}) {
    for (const Index steps : {0, 1, 2, 3, 5}) {
      for (const Index gap : {0, 5}) {
        for (const Start start : {Start::none, Start::row, Start::matrix, Start::in_place}) {
          CAPTURE(rows);
          CAPTURE(steps);
          CAPTURE(gap);
          CAPTURE(static_cast<int>(start));
          const Key key = Key{1}.fold(number++);
          const Terms<terms> operands(steps, rows, exponents, key.fold("terms"));
          Sums first(rows, start, gap, exponents, key.fold("sums"));
          Sums second = first;
          check(operands.operands(), first, second);
        }
      }
    }
  }
}

// Products and starts of such numbers are multiples of 2^-120 or so, and so is every sum: nothing underflows.
constexpr Exponents wide{50};
constexpr Exponents narrow{3};

template <std::size_t terms>
void check_order(Exponents exponents) {
  for_every_block<terms>(exponents, [](const auto& operands, Sums& sums, Sums&) {
    incontext::detail::emulated_block(operands, sums.view());
    CHECK(same_bits(sums.target, sums.expected([&](Index row, Index column) {
      return plain_sum(operands, row, column, sums.start_of(row, column));
    })));
  });
}

template <std::size_t terms>
void check_unit(Exponents exponents) {
  const MatrixUnit unit;
  for_every_block<terms>(exponents, [&](const auto& operands, Sums& sums, Sums& emulated) {
    unit.compute(operands, sums.view());
    incontext::detail::emulated_block(operands, emulated.view());
    CHECK(same_bits(sums.target, emulated.target));
  });
}

}  // namespace

TEST_CASE("a block is start + A B in the order of the matrix unit, bit for bit, and nothing beside it is written") {
  for (const Exponents exponents : {narrow, wide}) {
    check_order<1>(exponents);
    check_order<3>(exponents);
  }
}

TEST_CASE("where there is a matrix unit, the emulation has its bits") {
  for (const Exponents exponents : {narrow, wide}) {
    check_unit<1>(exponents);
    check_unit<3>(exponents);
  }
}

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
    const std::array operands{BlockOperands{a.data(), b.data(), steps}};
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
