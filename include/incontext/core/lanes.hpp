#pragma once
/// \file
/// Registers of 64-bit lanes for random numbers: the compilers' own vector types, and the operations that these have no
/// operator for. xsimd is for the matrices; it has no product of 32-bit halves, which Philox is made of.
///
/// Nothing here rounds, so that what is drawn does not depend on the instruction set.

#include "incontext/core/config.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t lane_bytes = 64;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr std::size_t lane_bytes = 32;
#else
inline constexpr std::size_t lane_bytes = 16;
#endif

using WordLanes __attribute__((vector_size(lane_bytes))) = std::uint64_t;
using DoubleLanes __attribute__((vector_size(lane_bytes))) = double;
inline constexpr std::size_t lane_count = lane_bytes / sizeof(std::uint64_t);

/// 0, 1, 2, ...
[[nodiscard]] inline WordLanes lane_numbers() {
  WordLanes numbers{};
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    numbers[lane] = lane;
  }
  return numbers;
}

/// The 64-bit product of the low half of every lane with `factor`. Compilers take a masked product of lanes for one of
/// 64 bits by 64, which costs three to six times as much.
[[nodiscard]] inline WordLanes multiply_low_half(WordLanes lanes, std::uint32_t factor) {
#if defined(__AVX512F__)
  return std::bit_cast<WordLanes>(_mm512_mul_epu32(std::bit_cast<__m512i>(lanes), _mm512_set1_epi64(factor)));
#elif defined(__AVX2__) && defined(__FMA__)
  return std::bit_cast<WordLanes>(_mm256_mul_epu32(std::bit_cast<__m256i>(lanes), _mm256_set1_epi64x(factor)));
#elif defined(__SSE2__)
  return std::bit_cast<WordLanes>(_mm_mul_epu32(std::bit_cast<__m128i>(lanes), _mm_set1_epi64x(factor)));
#else
  return (lanes & 0xFFFFFFFFU) * factor;
#endif
}

/// table[index] in every lane, and table[index + 1].
struct Neighbours {
  DoubleLanes first;
  DoubleLanes second;
};

/// Processors gather a lane at a time, so that it pays to load every pair at once and to sort the halves in registers.
[[nodiscard]] inline Neighbours look_up(const double* table, WordLanes indices) {
#if defined(__AVX512F__)
  const auto pairs = [&](std::size_t first) {  // of every other lane, from this one on
    __m512d lanes = _mm512_castpd128_pd512(_mm_loadu_pd(table + indices[first]));
    lanes = _mm512_insertf64x2(lanes, _mm_loadu_pd(table + indices[first + 2]), 1);
    lanes = _mm512_insertf64x2(lanes, _mm_loadu_pd(table + indices[first + 4]), 2);
    return _mm512_insertf64x2(lanes, _mm_loadu_pd(table + indices[first + 6]), 3);
  };
  const __m512d even = pairs(0);
  const __m512d odd = pairs(1);
  return {std::bit_cast<DoubleLanes>(_mm512_unpacklo_pd(even, odd)),
          std::bit_cast<DoubleLanes>(_mm512_unpackhi_pd(even, odd))};
#else
  Neighbours neighbours{};
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    neighbours.first[lane] = table[indices[lane]];
    neighbours.second[lane] = table[indices[lane] + 1];
  }
  return neighbours;
#endif
}

/// One bit for every lane, the lowest for lane 0: whether its absolute value is at least that of `bounds`, which is not
/// negative.
[[nodiscard]] inline unsigned lanes_beyond(DoubleLanes values, DoubleLanes bounds) {
  const DoubleLanes sizes = std::bit_cast<DoubleLanes>(std::bit_cast<WordLanes>(values) & 0x7FFFFFFFFFFFFFFFU);
#if defined(__AVX512F__)
  return _mm512_cmp_pd_mask(std::bit_cast<__m512d>(sizes), std::bit_cast<__m512d>(bounds), _CMP_GE_OQ);
#elif defined(__AVX2__) && defined(__FMA__)
  const auto beyond = _mm256_cmp_pd(std::bit_cast<__m256d>(sizes), std::bit_cast<__m256d>(bounds), _CMP_GE_OQ);
  return static_cast<unsigned>(_mm256_movemask_pd(beyond));
#else
  unsigned beyond = 0;
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    beyond |= (sizes[lane] >= bounds[lane] ? 1U : 0U) << lane;
  }
  return beyond;
#endif
}

}  // namespace detail

INCONTEXT_NAMESPACE_END
