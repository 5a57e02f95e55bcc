#pragma once
// The most multiply-adds that a thread can do: what roofline.cpp measures and kernels.cpp holds kernels against.

#include <incontext/simd/batch.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace benchmarks {

using incontext::Batch;
using incontext::fused_multiply_add;
using incontext::Index;
using incontext::reduce_add;

/// Two units of latency 4 to 6 need 8 to 12 at a time; 16 registers have room for two constants beside them.
inline constexpr std::size_t accumulators = 12;

/// `repeats` multiply-adds on each of the accumulators: none waits for another, and all stay in registers because each
/// is named by a constant. Whatever they start from, they end near increment / (1 - factor): neither infinite nor
/// denormal.
template <std::size_t... index>
inline float multiply_adds(Index repeats, float factor, float increment, std::index_sequence<index...>) {
  using Values = Batch<float>;
  const Values factors(factor);
  const Values increments(increment);
  std::array<Values, sizeof...(index)> sums = {Values(static_cast<float>(index))...};
  for (Index repeat = 0; repeat < repeats; ++repeat) {
    ((sums[index] = fused_multiply_add(sums[index], factors, increments)), ...);
  }
  Values total(0.0F);
  ((total += sums[index]), ...);
  return reduce_add<float>(total);
}

/// Floating-point operations of `multiply_adds` on all accumulators.
[[nodiscard]] inline double operations_of(Index repeats) {
  return 2.0 * static_cast<double>(repeats * incontext::batch_size<float>) * static_cast<double>(accumulators);
}

}  // namespace benchmarks
