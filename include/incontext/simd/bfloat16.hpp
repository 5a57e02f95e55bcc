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

#if defined(__AVX512BF16__)

namespace detail {

/// The bfloat16 next to 16 floats, in the lower halves of 16 integers.
[[nodiscard]] inline __m512i rounded_to_bfloat16(__m512 values) {
  return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(values));
}

/// 16 floats, or what rounding them to bfloat16 leaves behind: nothing of an infinity, or of what rounds to one.
[[nodiscard]] inline __m512 load_part(Part part, const float* source) {
  const __m512 values = _mm512_loadu_ps(source);
  if (part == Part::high) {
    return values;
  }
  const __m512 rest = _mm512_sub_ps(values, _mm512_castsi512_ps(_mm512_slli_epi32(rounded_to_bfloat16(values), 16)));
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_sub_ps(rest, rest), _mm512_setzero_ps(), _CMP_EQ_OQ), rest);
}

}  // namespace detail

#endif

/// target[i] = (source[2i], source[2i + 1]) for 16 pairs.
inline void pair_neighbours(Part part, const float* source, Bfloat16Pair* target) {
#if defined(__AVX512BF16__)
  _mm512_storeu_si512(
      target, (__m512i)_mm512_cvtne2ps_pbh(detail::load_part(part, source + 16), detail::load_part(part, source)));
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
  const __m512i lower = detail::rounded_to_bfloat16(detail::load_part(part, first));
  const __m512i upper = detail::rounded_to_bfloat16(detail::load_part(part, second));
  _mm512_storeu_si512(target, _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16)));
#else
  for (Index index = 0; index < pairs_in_row; ++index) {
    target[index] = Bfloat16Pair{part_of(part, first[index])} | (Bfloat16Pair{part_of(part, second[index])} << 16U);
  }
#endif
}

INCONTEXT_NAMESPACE_END
