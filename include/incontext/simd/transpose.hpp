#pragma once
/// \file
/// Blocks of 16 x 16 numbers, transposed in registers: what products rearrange their operands by.

#include "incontext/core/config.hpp"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

/// Rows and columns of a block.
inline constexpr Index transposed_block = 16;

/// target(j, i) = source(i, j) for a block of 16 x 16; strides are from row to row. Of the source only the first `rows`
/// rows are read, the others are zeros.
template <class Number>
inline void transpose_block(const Number* source, Index source_stride, Number* target, Index target_stride,
                            Index rows = transposed_block) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Number) == 4) {
    __m512i row[transposed_block];
    __m512i mixed[transposed_block];
    for (Index index = 0; index < transposed_block; ++index) {
      row[index] = index < rows ? _mm512_loadu_si512(source + index * source_stride) : _mm512_setzero_si512();
    }
    // Pairs of rows, then fours, within lanes of 128 bits; then the lanes themselves.
    for (Index index = 0; index < transposed_block; index += 2) {
      mixed[index] = _mm512_unpacklo_epi32(row[index], row[index + 1]);
      mixed[index + 1] = _mm512_unpackhi_epi32(row[index], row[index + 1]);
    }
    for (Index index = 0; index < transposed_block; index += 4) {
      row[index] = _mm512_unpacklo_epi64(mixed[index], mixed[index + 2]);
      row[index + 1] = _mm512_unpackhi_epi64(mixed[index], mixed[index + 2]);
      row[index + 2] = _mm512_unpacklo_epi64(mixed[index + 1], mixed[index + 3]);
      row[index + 3] = _mm512_unpackhi_epi64(mixed[index + 1], mixed[index + 3]);
    }
    for (Index index = 0; index < 4; ++index) {
      const __m512i even_low = _mm512_shuffle_i32x4(row[index], row[index + 4], 0x88);
      const __m512i odd_low = _mm512_shuffle_i32x4(row[index], row[index + 4], 0xDD);
      const __m512i even_high = _mm512_shuffle_i32x4(row[index + 8], row[index + 12], 0x88);
      const __m512i odd_high = _mm512_shuffle_i32x4(row[index + 8], row[index + 12], 0xDD);
      Number* const first = target + index * target_stride;
      _mm512_storeu_si512(first, _mm512_shuffle_i32x4(even_low, even_high, 0x88));
      _mm512_storeu_si512(first + 4 * target_stride, _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
      _mm512_storeu_si512(first + 8 * target_stride, _mm512_shuffle_i32x4(even_low, even_high, 0xDD));
      _mm512_storeu_si512(first + 12 * target_stride, _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD));
    }
    return;
  }
#endif
  for (Index row = 0; row < transposed_block; ++row) {
    for (Index column = 0; column < transposed_block; ++column) {
      target[column * target_stride + row] = row < rows ? source[row * source_stride + column] : Number{};
    }
  }
}

INCONTEXT_NAMESPACE_END
