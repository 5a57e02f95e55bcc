#pragma once
// Blocks of a product of bfloat16 in every shape, and what they must be.

#include "incontext/core/key.hpp"
#include "incontext/simd/bfloat16_block.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace incontext_tests {

using incontext::Bfloat16Pair;
using incontext::block_size;
using incontext::BlockOperands;
using incontext::BlockSums;
using incontext::Index;
using incontext::Key;
using incontext::pairs_in_row;
using incontext::Stream;
using incontext::tile_pairs;

// Powers of two from 2^-size to 2^size.
struct Exponents {
  Index size;
};

inline std::uint32_t any_bfloat16(Stream& stream, Exponents exponents) {
  const auto exponent = static_cast<std::uint32_t>(127 - exponents.size + stream.integer(2 * exponents.size));
  const auto sign_and_significand = static_cast<std::uint32_t>(stream.integer(256));
  return ((sign_and_significand & 0x80U) << 8U) | (exponent << 7U) | (sign_and_significand & 0x7FU);
}

// Where a pair of a row of A lies, and one of a column of B: two tiles a step.
inline std::size_t place_in_a(Index row, Index step, Index pair) {
  return static_cast<std::size_t>((step * 2 + row / 16) * tile_pairs + row % 16 * pairs_in_row + pair);
}
inline std::size_t place_in_b(Index column, Index step, Index pair) {
  return static_cast<std::size_t>((step * 2 + column / 16) * tile_pairs + pair * 16 + column % 16);
}

// One term of a product, with memory. Rows of A beyond the block's are NaN, pairs beyond the last are zeros.
class Term {
 public:
  Term(Index pairs, Index rows, Exponents exponents, Key key)
      : pairs_(pairs), a_(size_of(pairs), 0xFFFFFFFFU), b_(size_of(pairs)) {
    Stream stream(key);
    for (Index index = 0; index < BlockOperands{nullptr, nullptr, pairs}.steps() * pairs_in_row; ++index) {
      const auto pair = [&] {
        return index < pairs ? any_bfloat16(stream, exponents) | (any_bfloat16(stream, exponents) << 16U) : 0U;
      };
      for (Index row = 0; row < rows; ++row) {
        a_[place_in_a(row, index / pairs_in_row, index % pairs_in_row)] = pair();
      }
      for (Index column = 0; column < block_size; ++column) {
        b_[place_in_b(column, index / pairs_in_row, index % pairs_in_row)] = pair();
      }
    }
  }
  [[nodiscard]] BlockOperands operands() const { return {a_.data(), b_.data(), pairs_}; }

 private:
  static std::size_t size_of(Index pairs) {
    return static_cast<std::size_t>(BlockOperands{nullptr, nullptr, pairs}.steps() * 2 * tile_pairs);
  }

  Index pairs_;
  std::vector<Bfloat16Pair> a_;
  std::vector<Bfloat16Pair> b_;
};

template <std::size_t terms>
class Terms {
 public:
  Terms(Index pairs, Index rows, Exponents exponents, Key key) {
    for (std::size_t term = 0; term < terms; ++term) {
      terms_.emplace_back(pairs, rows, exponents, key.fold(term));
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

inline float member(Bfloat16Pair pair, Index number) {
  return std::bit_cast<float>(number == 0 ? pair << 16U : pair & 0xFFFF0000U);
}

// The sum of a float and a term that a double holds exactly, rounded to float. Rounding to double first does no harm,
// for a sum of two floats: 53 >= 2 * 24 + 2 (Figueroa 1995, "When is double rounding innocuous?").
inline float rounded_sum(float sum, double term) { return static_cast<float>(static_cast<double>(sum) + term); }

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
  // Rows that go with the block's in one piece may hold anything afterwards.
  void forget_rows_beyond() {
    for (Index row = number; row < (number + 15) / 16 * 16; ++row) {
      std::fill_n(target.data() + place(row, 0), block_size, untouched());
    }
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
  for (const Index rows : {3, 16, 21, 32}) {
    for (const Index pairs : {0, 1, 16, 32, 33, 48, 79, 80}) {
      for (const Index gap : {0, 5}) {
        for (const Start start : {Start::none, Start::row, Start::matrix, Start::in_place}) {
          CAPTURE(rows);
          CAPTURE(pairs);
          CAPTURE(gap);
          CAPTURE(static_cast<int>(start));
          const Key key = Key{1}.fold(number++);
          const Terms<terms> operands(pairs, rows, exponents, key.fold("terms"));
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

// That `compute` gives start + A B for every block, each sum by `plain_sum(operands, row, column, start)`, bit for bit,
// and writes nothing beside it.
template <std::size_t terms, class Compute, class PlainSum>
void check_blocks(Compute compute, PlainSum plain_sum) {
  for (const Exponents exponents : {narrow, wide}) {
    for_every_block<terms>(exponents, [&](const auto& operands, Sums& sums, Sums& expected) {
      compute(operands, sums.view());
      for (Index row = 0; row < sums.number; ++row) {
        for (Index column = 0; column < block_size; ++column) {
          expected.target[expected.place(row, column)] =
              plain_sum(operands, row, column, expected.start_of(row, column));
        }
      }
      sums.forget_rows_beyond();
      expected.forget_rows_beyond();
      CHECK(same_bits(sums.target, expected.target));
    });
  }
}

}  // namespace incontext_tests
