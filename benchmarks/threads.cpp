// How two threads share the products of feed-forward layers: a block of rows for each, one sequence, that goes through
// all layers; or every product cut in two, by its rows or by its columns, with the threads meeting after each.
//   threads/<blocks, rows or columns>/width:<w>/tokens:<t>  eight sequences through four layers, real time
// All three have the same bits.

#include <incontext/core/executor.hpp>
#include <incontext/core/key.hpp>
#include <incontext/simd/matrix_product.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using namespace incontext;

constexpr Index threads = 2;
constexpr Index sequences = 8;
constexpr Index layers = 4;

enum class Way { blocks, rows, columns };

/// Weights in panels, [inner, columns], N(0, 1 / inner).
class PackedWeights {
 public:
  PackedWeights(Index inner, Index columns, Key key)
      : memory_(static_cast<std::size_t>(PackedPanels<float>::size(inner, columns))) {
    std::vector<float> weights(static_cast<std::size_t>(inner * columns));
    Stream(key).fill_normal(weights.begin(), weights.end(), 1.0 / std::sqrt(static_cast<double>(inner)));
    panels_ = pack(MatrixView<const float>(weights.data(), inner, columns), memory_.data());
  }
  [[nodiscard]] const PackedPanels<float>& panels() const { return panels_; }

 private:
  AlignedVector<float> memory_;
  PackedPanels<float> panels_;
};

/// c = a b, cut between the threads.
void multiply_together(ThreadExecutor& executor, Way way, const MatrixView<const float>& a,
                       const PackedPanels<float>& b, const MatrixView<float>& c) {
  if (way == Way::rows) {
    run_in_parts(executor, c.rows, threads, [&](Index first, Index last) {
      multiply<float>(a.block(first, 0, last - first, a.columns), b, c.block(first, 0, last - first, c.columns));
    });
    return;
  }
  constexpr Index width = panel_columns<float>;
  run_in_parts(executor, (c.columns + width - 1) / width, threads, [&](Index first, Index last) {
    const Index count = (std::min)(last * width, c.columns) - first * width;
    multiply<float>(a, b.part_of_columns(first * width, count), c.block(0, first * width, c.rows, count));
  });
}

void products(benchmark::State& state, Way way) {
  const Index width = state.range(0);
  const Index tokens = state.range(1);
  const Key root{0};
  const Index hidden = 4 * width;
  std::vector<PackedWeights> expand;
  std::vector<PackedWeights> contract;
  for (Index layer = 0; layer < layers; ++layer) {
    expand.emplace_back(width, hidden, root.fold("expand").fold(layer));
    contract.emplace_back(hidden, width, root.fold("contract").fold(layer));
  }
  const Index each = tokens * (width + hidden);
  AlignedVector<float> memory(static_cast<std::size_t>(sequences * each), 1.0F);
  ThreadExecutor executor(threads);
  const auto pass = [&](Index sequence, const auto& multiply_by) {
    float* const start = memory.data() + sequence * each;
    const MatrixView<float> stream(start, tokens, width);
    const MatrixView<float> between(start + tokens * width, tokens, hidden);
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(layers); ++layer) {
      multiply_by(stream, expand[layer].panels(), between);
      multiply_by(between, contract[layer].panels(), stream);
    }
  };
  using Left = MatrixView<const float>;
  using Right = PackedPanels<float>;
  const auto multiply_alone = [](const Left& a, const Right& b, const MatrixView<float>& c) {
    multiply<float>(a, b, c);
  };
  const auto multiply_in_parts = [&](const Left& a, const Right& b, const MatrixView<float>& c) {
    multiply_together(executor, way, a, b, c);
  };
  for (auto _ : state) {
    if (way == Way::blocks) {
      run_in_parts(executor, sequences, sequences, [&](Index sequence, Index) { pass(sequence, multiply_alone); });
    } else {
      for (Index sequence = 0; sequence < sequences; ++sequence) {
        pass(sequence, multiply_in_parts);
      }
    }
    benchmark::ClobberMemory();
  }
  state.counters["flops"] = benchmark::Counter(static_cast<double>(4 * sequences * layers * tokens * width * hidden),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"width", "tokens"})
      ->ArgsProduct({{32, 64, 128, 256, 512}, {81, 321}})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}
BENCHMARK_CAPTURE(products, blocks, Way::blocks)->Name("threads/blocks")->Apply(sizes);
BENCHMARK_CAPTURE(products, rows, Way::rows)->Name("threads/rows")->Apply(sizes);
BENCHMARK_CAPTURE(products, columns, Way::columns)->Name("threads/columns")->Apply(sizes);

}  // namespace
