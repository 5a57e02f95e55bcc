// The matrix products of a training step, ours beside Eigen's, at the shapes of the models of train_step.cpp:
//   product/<ours|eigen>/<rows>x<inner>x<columns>, one thread, with floating-point operations a second beside it.

#include <incontext/core/key.hpp>
#include <incontext/simd/matrix_product.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>

namespace {

using namespace incontext;

AlignedVector<float> normals(Index count, Index number) {
  AlignedVector<float> values(static_cast<std::size_t>(count));
  Stream(Key(0).fold(number)).fill_normal(values.begin(), values.end());
  return values;
}

template <bool ours>
void product(benchmark::State& state) {
  const Index rows = state.range(0);
  const Index inner = state.range(1);
  const Index columns = state.range(2);
  AlignedVector<float> left = normals(rows * inner, 0);
  AlignedVector<float> right = normals(inner * columns, 1);
  AlignedVector<float> result(static_cast<std::size_t>(rows * columns));
  const Eigen::Map<RowMatrix<float>> eigen_left(left.data(), rows, inner);
  const Eigen::Map<RowMatrix<float>> eigen_right(right.data(), inner, columns);
  Eigen::Map<RowMatrix<float>> eigen_result(result.data(), rows, columns);
  for (auto _ : state) {
    if constexpr (ours) {
      multiply<float>(MatrixView<const float>(left.data(), rows, inner),
                      MatrixView<const float>(right.data(), inner, columns),
                      MatrixView<float>(result.data(), rows, columns));
    } else {
      eigen_result.noalias() = eigen_left * eigen_right;
    }
    benchmark::DoNotOptimize(result.data());
    benchmark::ClobberMemory();
  }
  state.counters["flops"] = benchmark::Counter(2.0 * static_cast<double>(rows * inner * columns * state.iterations()),
                                               benchmark::Counter::kIsRate);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  constexpr std::int64_t sizes[][3] = {{272, 64, 192},  {272, 64, 256},   {272, 256, 64},
                                       {328, 128, 512}, {328, 256, 1024}, {328, 1024, 256}};
  for (const auto& [rows, inner, columns] : sizes) {
    benchmark->Args({rows, inner, columns});
  }
}

BENCHMARK(product<true>)->Name("product/ours")->Apply(shapes);
BENCHMARK(product<false>)->Name("product/eigen")->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
