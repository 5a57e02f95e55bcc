#pragma once
/// \file
/// bfloat16: the upper half of a float. Conversions of rows, and of rows in pairs, as the matrix units want them.

#include "incontext/core/config.hpp"

#include <bit>
#include <cstdint>
#include <limits>
#include <new>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

/// The 16 bits of a bfloat16: sign, 8 bits of exponent, 7 of significand.
using Bfloat16 = std::uint16_t;
/// Two neighbours along the inner dimension of a product: the first in the lower half.
using Bfloat16Pair = std::uint32_t;

/// The float of a bfloat16: exact.
[[nodiscard]] inline float to_float(Bfloat16 value) { return std::bit_cast<float>(std::uint32_t{value} << 16U); }

/// The bfloat16 next to a float, ties to even; what is subnormal becomes zero, as the processors' own conversion has
/// it, and a NaN stays one.
[[nodiscard]] inline Bfloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const std::uint32_t rounded = bits + 0x7FFFU + ((bits >> 16U) & 1U);
  const std::uint32_t sign = bits & 0x80000000U;
  const std::uint32_t flushed = magnitude < 0x00800000U ? sign : rounded;
  return static_cast<Bfloat16>((magnitude > 0x7F800000U ? bits | 0x00400000U : flushed) >> 16U);
}

/// What rounding to bfloat16 leaves behind, itself rounded: value is about the sum of the two.
[[nodiscard]] inline Bfloat16 to_bfloat16_rest(float value) {
  // The rest of an infinity, or of what rounds to one, would be NaN; it has nothing to add.
  const float rest = value - to_float(to_bfloat16(value));
  return rest - rest == 0.0F ? to_bfloat16(rest) : Bfloat16{0};
}

/// Which of the two bfloat16 that make up a float.
enum class Part { high, low };

[[nodiscard]] inline Bfloat16 part_of(Part part, float value) {
  return part == Part::high ? to_bfloat16(value) : to_bfloat16_rest(value);
}

/// Sixteen pairs make a row of a tile.
inline constexpr Index pairs_in_row = 16;

/// target[i] = (source[2i], source[2i + 1]) for 16 pairs.
inline void pair_neighbours(Part part, const float* source, Bfloat16Pair* target) {
#if defined(__AVX512BF16__)
  __m512 lower = _mm512_loadu_ps(source);
  __m512 upper = _mm512_loadu_ps(source + 16);
  if (part == Part::low) {
    const auto rest = [](__m512 value) {
      const __m512 rounded =
          _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(value)), 16));
      const __m512 difference = _mm512_sub_ps(value, rounded);
      return _mm512_maskz_mov_ps(
          _mm512_cmp_ps_mask(_mm512_sub_ps(difference, difference), _mm512_setzero_ps(), _CMP_EQ_OQ), difference);
    };
    lower = rest(lower);
    upper = rest(upper);
  }
  _mm512_storeu_si512(target, (__m512i)_mm512_cvtne2ps_pbh(upper, lower));
#else
  for (Index index = 0; index < pairs_in_row; ++index) {
    target[index] =
        Bfloat16Pair{part_of(part, source[2 * index])} | (Bfloat16Pair{part_of(part, source[2 * index + 1])} << 16U);
  }
#endif
}

/// target[i] = (first[i], second[i]) for 16 pairs.
inline void pair_rows(Part part, const float* first, const float* second, Bfloat16Pair* target) {
#if defined(__AVX512BF16__)
  if (part == Part::high) {
    const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(first)));
    const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(second)));
    _mm512_storeu_si512(target, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    return;
  }
#endif
  for (Index index = 0; index < pairs_in_row; ++index) {
    target[index] = Bfloat16Pair{part_of(part, first[index])} | (Bfloat16Pair{part_of(part, second[index])} << 16U);
  }
}

/// Transposes 16 rows of 16 pairs: target[j * 16 + i] = source[i * 16 + j].
inline void transpose_pairs(const Bfloat16Pair* source, Bfloat16Pair* target) {
#if defined(__AVX512F__)
  __m512i row[16];
  __m512i mixed[16];
  for (Index index = 0; index < 16; ++index) {
    row[index] = _mm512_loadu_si512(source + index * 16);
  }
  // Pairs of rows, then fours, within lanes of 128 bits; then the lanes themselves.
  for (int index = 0; index < 16; index += 2) {
    mixed[index] = _mm512_unpacklo_epi32(row[index], row[index + 1]);
    mixed[index + 1] = _mm512_unpackhi_epi32(row[index], row[index + 1]);
  }
  for (int index = 0; index < 16; index += 4) {
    row[index] = _mm512_unpacklo_epi64(mixed[index], mixed[index + 2]);
    row[index + 1] = _mm512_unpackhi_epi64(mixed[index], mixed[index + 2]);
    row[index + 2] = _mm512_unpacklo_epi64(mixed[index + 1], mixed[index + 3]);
    row[index + 3] = _mm512_unpackhi_epi64(mixed[index + 1], mixed[index + 3]);
  }
  for (int index = 0; index < 4; ++index) {
    const __m512i even_low = _mm512_shuffle_i32x4(row[index], row[index + 4], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(row[index], row[index + 4], 0xDD);
    const __m512i even_high = _mm512_shuffle_i32x4(row[index + 8], row[index + 12], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(row[index + 8], row[index + 12], 0xDD);
    _mm512_storeu_si512(target + index * pairs_in_row, _mm512_shuffle_i32x4(even_low, even_high, 0x88));
    _mm512_storeu_si512(target + (index + 4) * pairs_in_row, _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_si512(target + (index + 8) * pairs_in_row, _mm512_shuffle_i32x4(even_low, even_high, 0xDD));
    _mm512_storeu_si512(target + (index + 12) * pairs_in_row, _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD));
  }
#else
  for (Index column = 0; column < pairs_in_row; ++column) {
    for (Index index = 0; index < pairs_in_row; ++index) {
      target[column * pairs_in_row + index] = source[index * pairs_in_row + column];
    }
  }
#endif
}

INCONTEXT_NAMESPACE_END
