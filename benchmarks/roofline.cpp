// What this machine can do at best, by one thread and by all cores at once: the roof over every other benchmark.
//   roofline/fma: fp32 multiply-adds in registers, in the widest vectors compiled for
//   roofline/amx_bf16/registers, /l1: bf16 products of the matrix unit, with tiles that stay in their registers, and
//     with tiles loaded from the first cache as a product blocked 2 x 2 does; only where the target has the unit
//   roofline/dot_bf16: bf16 dot products in registers; only where the target has them
//   roofline/read/<l1|l2|l3|memory>: bytes read, of a buffer for each thread that fits there
//   roofline/copy/memory: bytes read and bytes written, added
// Each as <name>/threads:<n>, with flops or bytes a second beside the time.

#include <incontext/core/matrix.hpp>
#include <incontext/simd/batch.hpp>
#include <incontext/simd/matrix_unit.hpp>

#include "multiply_adds.hpp"
#include "reading.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

using namespace incontext;

// The matrix unit is programmed in assembly: the compilers' intrinsics for it differ in what they keep of it, and the
// compilers in what they call it.
using Values = Batch<float>;

/// Reports `work` of every iteration of this thread; the rates of the threads are added.
void report(benchmark::State& state, const char* name, double work) {
  state.counters[name] =
      benchmark::Counter(work * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

// ---- Multiply-adds -------------------------------------------------------------------------------------------------

void multiply_add(benchmark::State& state) {
  constexpr Index repeats = 4096;
  float factor = 0.5F;
  float increment = 1.0F;
  for (auto _ : state) {
    benchmark::DoNotOptimize(factor);  // so that no two calls are known to be the same
    benchmark::DoNotOptimize(increment);
    float sum =
        benchmarks::multiply_adds(repeats, factor, increment, std::make_index_sequence<benchmarks::accumulators>{});
    benchmark::DoNotOptimize(sum);
  }
  report(state, "flops", benchmarks::operations_of(repeats));
}

// ---- The matrix unit -----------------------------------------------------------------------------------------------

#if defined(INCONTEXT_HAS_AMX)

constexpr std::size_t tile_bytes = 1024;  // 16 rows of 64 bytes
constexpr double flops_of_tile_product = 2.0 * 16 * 16 * 32;

/// Four sums, tiles 0 to 3, += the products of two left tiles, 4 and 5, and two right ones, 6 and 7.
void multiply_four_tiles() {
  asm volatile(
      "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
      "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
      "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
      "tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
      :
      :
      : "memory");
}

void amx_registers(benchmark::State& state) {
  if (!MatrixUnit::is_present()) {
    state.SkipWithError("the kernel does not permit the tile registers");
    return;
  }
  const MatrixUnit unit;  // configures the tiles
  constexpr Index repeats = 1024;
  for (auto _ : state) {
    for (Index repeat = 0; repeat < repeats; ++repeat) {
      multiply_four_tiles();
    }
  }
  report(state, "flops", 4.0 * flops_of_tile_product * static_cast<double>(repeats));
}

void amx_l1(benchmark::State& state) {
  if (!MatrixUnit::is_present()) {
    state.SkipWithError("the kernel does not permit the tile registers");
    return;
  }
  const MatrixUnit unit;            // configures the tiles
  constexpr std::size_t depth = 6;  // pairs of tiles on either side, 24 KiB: half of the first cache
  AlignedVector<std::uint16_t> left(2 * depth * tile_bytes / sizeof(std::uint16_t));
  AlignedVector<std::uint16_t> right(left.size());
  constexpr Index repeats = 128;
  for (auto _ : state) {
    for (Index repeat = 0; repeat < repeats; ++repeat) {
      const auto* left_tile = reinterpret_cast<const unsigned char*>(left.data());
      const auto* right_tile = reinterpret_cast<const unsigned char*>(right.data());
      for (std::size_t step = 0; step < depth; ++step) {
        constexpr std::int64_t stride = 64;
        asm volatile(
            "tileloadd (%0, %4), %%tmm4\n\t"
            "tileloadd (%1, %4), %%tmm5\n\t"
            "tileloadd (%2, %4), %%tmm6\n\t"
            "tileloadd (%3, %4), %%tmm7"
            :
            : "r"(left_tile), "r"(left_tile + tile_bytes), "r"(right_tile), "r"(right_tile + tile_bytes), "r"(stride)
            : "memory");
        multiply_four_tiles();
        left_tile += 2 * tile_bytes;
        right_tile += 2 * tile_bytes;
      }
    }
  }
  report(state, "flops", 4.0 * flops_of_tile_product * static_cast<double>(repeats) * static_cast<double>(depth));
}

#endif

// ---- Dot products of bfloat16 --------------------------------------------------------------------------------------

#if defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)

void dot_products(benchmark::State& state) {
  constexpr Index repeats = 1024;
  constexpr std::size_t sums = 16;  // as many as hide the latency
  __m512 sum[sums];
  const auto pairs = (__m512bh)_mm512_set1_epi32(0x3F803F80);  // ones
  for (std::size_t index = 0; index < sums; ++index) {
    sum[index] = _mm512_set1_ps(static_cast<float>(index));
  }
  for (auto _ : state) {
    for (Index repeat = 0; repeat < repeats; ++repeat) {
      INCONTEXT_UNROLL
      for (std::size_t index = 0; index < sums; ++index) {
        sum[index] = _mm512_dpbf16_ps(sum[index], pairs, pairs);
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  report(state, "flops", 2.0 * 32 * static_cast<double>(sums) * static_cast<double>(repeats));
}

#endif

// ---- Bandwidth -----------------------------------------------------------------------------------------------------

/// Zeros, written by this thread, in large pages where the kernel has them: small ones would measure the translation
/// of addresses as well.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes) : bytes_(bytes / page * page + page) {
    data_ = static_cast<float*>(::operator new (bytes_, std::align_val_t{page}));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    madvise(data_, bytes_, MADV_HUGEPAGE);  // a wish
#endif
    std::memset(data_, 0, bytes_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete (data_, std::align_val_t{page}); }
  [[nodiscard]] float* data() const { return data_; }

 private:
  static constexpr std::size_t page = std::size_t{1} << 21;
  std::size_t bytes_;
  float* data_ = nullptr;
};

void read_buffer(benchmark::State& state, std::size_t bytes) {
  const Buffer buffer(bytes);
  const auto block = static_cast<std::size_t>(benchmarks::reading_block);
  const auto count = static_cast<Index>((std::max)(bytes / sizeof(float) / block, std::size_t{1}) * block);
  const auto repeats = (std::max)(Index{1}, (Index{1} << 16) / count);  // so that the clock is asked rarely
  for (auto _ : state) {
    for (Index repeat = 0; repeat < repeats; ++repeat) {
      const float* values = buffer.data();
      benchmark::DoNotOptimize(values);
      float sum = benchmarks::sum_of(values, count);
      benchmark::DoNotOptimize(sum);
    }
  }
  report(state, "bytes", static_cast<double>(repeats * count) * sizeof(float));
}

void copy_buffer(benchmark::State& state, std::size_t bytes) {
  const Buffer source(bytes);
  const Buffer target(bytes);
  for (auto _ : state) {
    std::memcpy(target.data(), source.data(), bytes);
    benchmark::ClobberMemory();
  }
  report(state, "bytes", 2.0 * static_cast<double>(bytes));
}

/// The size of a cache in bytes by what the system says, or a common size where it says nothing.
std::size_t cache_bytes(int level) {
  constexpr std::array<std::size_t, 4> common = {0, std::size_t{32} << 10, std::size_t{1} << 20, std::size_t{32} << 20};
  long bytes = 0;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  bytes = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#endif
  return bytes > 0 ? static_cast<std::size_t>(bytes) : common[static_cast<std::size_t>(level)];
}

template <class Function>
void add(const std::string& name, int threads, const Function& function) {
  benchmark::RegisterBenchmark(("roofline/" + name).c_str(), function)->Threads(threads)->UseRealTime();
}

}  // namespace

int main(int count, char** arguments) {
  const int cores = (std::max)(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<int> numbers = {1};
  if (cores > 1) {
    numbers.push_back(cores);
  }
  // Half of a private cache leaves room for what else is in it. A buffer for the last cache is well beyond the second,
  // and one for memory beyond what all threads can keep in the last, which may be shared with programs on other cores.
  const std::size_t last_cache = cache_bytes(3);
  const std::size_t beyond_l2 = (std::min)(last_cache / 4, 8 * cache_bytes(2));
  const std::size_t beyond_l3 = (std::clamp)(2 * last_cache, std::size_t{256} << 20, std::size_t{1} << 30);
  for (const int threads : numbers) {
    add("fma", threads, multiply_add);
#if defined(INCONTEXT_HAS_AMX)
    add("amx_bf16/registers", threads, amx_registers);
    add("amx_bf16/l1", threads, amx_l1);
#endif
#if defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)
    add("dot_bf16", threads, dot_products);
#endif
    const std::pair<const char*, std::size_t> places[] = {
        {"l1", cache_bytes(1) / 2},
        {"l2", cache_bytes(2) / 2},
        {"l3", beyond_l2},
        {"memory", beyond_l3 / static_cast<std::size_t>(threads)},
    };
    for (const auto& [place, bytes] : places) {
      add(std::string("read/") + place, threads,
          [bytes = bytes](benchmark::State& state) { read_buffer(state, bytes); });
    }
    add("copy/memory", threads, [bytes = beyond_l3 / 2 / static_cast<std::size_t>(threads)](benchmark::State& state) {
      copy_buffer(state, bytes);
    });
  }
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) {
    return 1;
  }
  benchmark::AddCustomContext("vector_bits", std::to_string(8 * sizeof(Values)));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
