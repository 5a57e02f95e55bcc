#pragma once
// The fastest reading of memory in order: what roofline.cpp measures and the kernels are held against.

#include <incontext/simd/batch.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace benchmarks {

/// Floats that `sum_of` reads at a time.
inline constexpr incontext::Index reading_block = 8 * incontext::batch_size<float>;

/// The sum of `count` floats, a multiple of the block, read in order.
inline float sum_of(const float* values, incontext::Index count) {
  using Values = incontext::Batch<float>;
  std::array<Values, 8> sums;
  sums.fill(Values(0.0F));
  for (incontext::Index index = 0; index < count; index += reading_block) {
    [&]<std::size_t... part>(std::index_sequence<part...>) {
      ((sums[part] +=
        Values::load_aligned(values + index + static_cast<incontext::Index>(part) * incontext::batch_size<float>)),
       ...);
    }
    (std::make_index_sequence<8>{});
  }
  Values total(0.0F);
  for (const Values& sum : sums) {
    total += sum;
  }
  return incontext::reduce_add<float>(total);
}

}  // namespace benchmarks
