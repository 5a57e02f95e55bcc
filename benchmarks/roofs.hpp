#pragma once
// The roofs over a kernel on one thread, measured when first asked for, and reports of how near it comes to them.

#include <incontext/core/matrix.hpp>

#include "multiply_adds.hpp"
#include "reading.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace benchmarks {

/// `work` a second of `function`, best of several tries.
template <class Function>
[[nodiscard]] double best_rate(double work, const Function& function) {
  double best = 0.0;
  for (int attempt = 0; attempt < 50; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    float result = function();
    benchmark::DoNotOptimize(result);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = (std::max)(best, work / seconds.count());
  }
  return best;
}

/// Operations a second of fused multiply-adds on registers.
[[nodiscard]] inline double multiply_add_peak() {
  constexpr Index repeats = 20'000;
  static const double peak = best_rate(operations_of(repeats), [] {
    float factor = 0.5F;
    benchmark::DoNotOptimize(factor);
    return multiply_adds(repeats, factor, 1.0F, std::make_index_sequence<accumulators>{});
  });
  return peak;
}

/// Bytes a second that are read of a buffer of at least so many, over and over: from wherever it has room.
[[nodiscard]] inline double read_bandwidth(double bytes) {
  static std::map<Index, double> measured;
  const Index blocks = static_cast<Index>(bytes / sizeof(float)) / reading_block + 1;
  const auto [place, is_new] = measured.try_emplace(blocks);
  if (is_new) {
    const Index count = blocks * reading_block;
    const incontext::AlignedVector<float> buffer(static_cast<std::size_t>(count), 1.0F);
    const Index repeats = (std::max)(Index{1}, (Index{1} << 18) / count);  // so that the clock is asked rarely
    place->second = best_rate(static_cast<double>(repeats * count) * sizeof(float), [&] {
      float sum = 0.0F;
      for (Index repeat = 0; repeat < repeats; ++repeat) {
        const float* values = buffer.data();
        benchmark::DoNotOptimize(values);
        sum += sum_of(values, count);
      }
      return sum;
    });
  }
  return place->second;
}

/// A rate of `name`, `each` of them an iteration.
inline void report_rate(benchmark::State& state, const char* name, double each) {
  state.counters[name] =
      benchmark::Counter(each * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

/// Floating-point operations of an iteration, and their share of the peak.
inline void report_operations(benchmark::State& state, double operations) {
  report_rate(state, "flops", operations);
  report_rate(state, "share_of_fma_peak", operations / multiply_add_peak());
}

/// Bytes that an iteration reads and writes, and their share of what can be read of a buffer of `footprint` bytes, or
/// as many as are read and written. What is written on the way may bring it above one.
inline void report_bytes(benchmark::State& state, double bytes, double footprint) {
  report_rate(state, "bytes", bytes);
  report_rate(state, "share_of_read_bandwidth", bytes / read_bandwidth(footprint));
}
inline void report_bytes(benchmark::State& state, double bytes) { report_bytes(state, bytes, bytes); }

}  // namespace benchmarks
