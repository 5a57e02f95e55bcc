// Every kernel of a training step, one thread, at the sizes of train_step.cpp:
//   product/<ours|eigen>/<precision>/<rows>x<inner>x<columns>, gradient_product/... for A'B, and the rows between them.
// Beside the time: floating-point operations or bytes a second, and their share of what the processor can do, measured
// just after: fused multiply-adds on registers, or reading a buffer of as many bytes, from whichever cache it is in.

#include <incontext/core/key.hpp>
#include <incontext/nn/activation.hpp>
#include <incontext/nn/attention.hpp>
#include <incontext/nn/norm.hpp>
#include <incontext/optim/adam.hpp>
#include <incontext/simd/packed_operand.hpp>

#include "roofs.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>

namespace {

using namespace incontext;
using benchmarks::report_bytes;
using benchmarks::report_operations;

AlignedVector<float> normals(Index count, Index number) {
  AlignedVector<float> values(static_cast<std::size_t>(count));
  Stream(Key(0).fold(number)).fill_normal(values.begin(), values.end());
  return values;
}

struct Shape {
  Index rows, inner, columns;
};

void product(benchmark::State& state, Shape shape, Precision precision) {
  const AlignedVector<float> left = normals(shape.rows * shape.inner, 0);
  const AlignedVector<float> right = normals(shape.inner * shape.columns, 1);
  AlignedVector<float> result(static_cast<std::size_t>(shape.rows * shape.columns));
  AlignedVector<float> memory(
      static_cast<std::size_t>(PackedOperand<float>::size(precision, shape.inner, shape.columns)));
  const auto packed = pack_operand<float>(precision, {right.data(), shape.inner, shape.columns}, memory.data());
  Workspace<float> workspace;
  for (auto _ : state) {
    multiply<float>({left.data(), shape.rows, shape.inner}, packed, {result.data(), shape.rows, shape.columns}, {},
                    workspace);
    benchmark::DoNotOptimize(result.data());
    benchmark::ClobberMemory();
  }
  report_operations(state, 2.0 * static_cast<double>(shape.rows * shape.inner * shape.columns));
}

void gradient_product(benchmark::State& state, Shape shape, Precision precision) {
  const AlignedVector<float> left = normals(shape.rows * shape.inner, 0);
  const AlignedVector<float> right = normals(shape.rows * shape.columns, 1);
  AlignedVector<float> result(static_cast<std::size_t>(shape.inner * shape.columns));
  Workspace<float> workspace;
  for (auto _ : state) {
    add_transposed_product<float>(precision, {left.data(), shape.rows, shape.inner},
                                  {right.data(), shape.rows, shape.columns},
                                  {result.data(), shape.inner, shape.columns}, workspace);
    benchmark::DoNotOptimize(result.data());
    benchmark::ClobberMemory();
  }
  report_operations(state, 2.0 * static_cast<double>(shape.rows * shape.inner * shape.columns));
}

void eigen_product(benchmark::State& state, Shape shape) {
  using Matrix = RowMatrix<float>;
  const AlignedVector<float> left = normals(shape.rows * shape.inner, 0);
  const AlignedVector<float> right = normals(shape.inner * shape.columns, 1);
  AlignedVector<float> result(static_cast<std::size_t>(shape.rows * shape.columns));
  const Eigen::Map<const Matrix> a(left.data(), shape.rows, shape.inner);
  const Eigen::Map<const Matrix> b(right.data(), shape.inner, shape.columns);
  Eigen::Map<Matrix> c(result.data(), shape.rows, shape.columns);
  for (auto _ : state) {
    c.noalias() = a * b;
    benchmark::DoNotOptimize(result.data());
    benchmark::ClobberMemory();
  }
  report_operations(state, 2.0 * static_cast<double>(shape.rows * shape.inner * shape.columns));
}

// Attention alone, all heads of two sequences, forward and backward, with its two affine layers.
void attention(benchmark::State& state, Index width, Index heads, Precision precision) {
  ParameterLayout layout;
  const Attention<SoftmaxKernel, CausalMask> layer(layout, "attention", width, heads);
  const AlignedVector<float> parameters = normals(layout.size(), 0);
  AlignedVector<float> gradients(static_cast<std::size_t>(layout.size()));
  const SequenceShape shape{2, 81};
  const AlignedVector<float> input = normals(shape.rows() * width, 1);
  Workspace<float> workspace;
  Attention<SoftmaxKernel, CausalMask>::Cache<float> cache;
  const Weights<float> weights(parameters.data(), precision);
  for (auto _ : state) {
    workspace.reset();
    const MatrixView<const float> output =
        layer.forward(weights, shape, MatrixView<const float>(input.data(), shape.rows(), width), cache, workspace);
    benchmark::DoNotOptimize(layer.backward(weights, shape, output, cache, gradients.data(), workspace).data);
    benchmark::ClobberMemory();
  }
  const auto tokens = static_cast<double>(shape.tokens);
  report_operations(state, static_cast<double>(shape.sequences * width) *
                               (24.0 * tokens * static_cast<double>(width) + 6.0 * tokens * (tokens + 1.0)));
}

void layer_norm(benchmark::State& state) {
  const Index width = state.range(0);
  ParameterLayout layout;
  const LayerNorm layer(layout, "norm", width);
  const AlignedVector<float> parameters = normals(layout.size(), 0);
  AlignedVector<float> gradients(static_cast<std::size_t>(layout.size()));
  const SequenceShape shape{2, 81};
  const AlignedVector<float> input = normals(shape.rows() * width, 1);
  Workspace<float> workspace;
  LayerNorm::Cache<float> cache;
  for (auto _ : state) {
    workspace.reset();
    const MatrixView<const float> output = layer.forward(
        parameters.data(), shape, MatrixView<const float>(input.data(), shape.rows(), width), cache, workspace);
    benchmark::DoNotOptimize(layer.backward(parameters.data(), shape, output, cache, gradients.data(), workspace).data);
    benchmark::ClobberMemory();
  }
  report_bytes(state, 5.0 * sizeof(float) * static_cast<double>(shape.rows() * width));
}

template <class Kernel>
void over_a_row(benchmark::State& state, Index length, double streams, Kernel&& kernel) {
  const AlignedVector<float> input = normals(length, 0);
  AlignedVector<float> output = input;
  for (auto _ : state) {
    kernel(length, input.data(), output.data());
    benchmark::DoNotOptimize(output.data());
    benchmark::ClobberMemory();
  }
  report_bytes(state, streams * sizeof(float) * static_cast<double>(length));
}

// `output_of(x)` of every number, as a layer computes it: on the tiles of a product, of 32 columns.
template <class Function>
void over_a_tile(benchmark::State& state, const Function& output_of) {
  over_a_row(state, 4096, 2.0, [&](Index length, const float* input, float* output) {
    constexpr Index columns = 32;
    const MatrixView<const float> x(input, length / columns, columns);
    const MatrixView<float> y(output, x.rows, columns);
    for_each_place<float>(x.rows, columns, [x, y, &output_of](const auto& place) INCONTEXT_ALWAYS_INLINE {
      place.store(output_of(place.load(x)), y);
    });
  });
}

void gelu(benchmark::State& state) {
  over_a_tile(state, [](const auto& x) INCONTEXT_ALWAYS_INLINE { return value_of<Gelu>(x); });
}

void gelu_and_derivative(benchmark::State& state) {
  over_a_tile(state, [](const auto& x) INCONTEXT_ALWAYS_INLINE {
    const auto [value, derivative] = value_and_derivative<Gelu>(x);
    return value * derivative;
  });
}

// Attention weights of one head under a causal mask, [81, 96]: what a row sees counts.
constexpr Index softmax_tokens = 81;
double bytes_of_softmax(double streams) {
  return streams * sizeof(float) * static_cast<double>(softmax_tokens * (softmax_tokens + 1) / 2);
}
Index causal(Index row) { return row + 1; }

void softmax(benchmark::State& state) {
  const Index length = padded<float>(softmax_tokens);
  const AlignedVector<float> scores = normals(softmax_tokens * length, 0);
  AlignedVector<float> weights = scores;
  for (auto _ : state) {
    std::copy(scores.begin(), scores.end(), weights.begin());
    softmax_rows(0.125F, MatrixView<float>(weights.data(), softmax_tokens, length), causal);
    benchmark::DoNotOptimize(weights.data());
    benchmark::ClobberMemory();
  }
  report_bytes(state, bytes_of_softmax(2.0));
}

void softmax_backward(benchmark::State& state) {
  const Index length = padded<float>(softmax_tokens);
  const AlignedVector<float> weights = normals(softmax_tokens * length, 0);
  const AlignedVector<float> d_weights = normals(softmax_tokens * length, 1);
  AlignedVector<float> d_scores = d_weights;
  for (auto _ : state) {
    std::copy(d_weights.begin(), d_weights.end(), d_scores.begin());
    softmax_rows_backward(0.125F, MatrixView<const float>(weights.data(), softmax_tokens, length),
                          MatrixView<float>(d_scores.data(), softmax_tokens, length), causal);
    benchmark::DoNotOptimize(d_scores.data());
    benchmark::ClobberMemory();
  }
  report_bytes(state, bytes_of_softmax(3.0));
}

void adam_update(benchmark::State& state) {
  auto layout = std::make_shared<ParameterLayout>();
  layout->declare("all", {state.range(0)});
  const std::shared_ptr<const ParameterLayout> shared = layout;
  const ParameterBuffer<float> parameters(shared);
  ParameterBuffer<float> updates(shared);
  const Adam optimiser = adam();
  auto moments = optimiser.init<float>(shared);
  Index step = 0;
  for (auto _ : state) {
    optimiser.update(updates, parameters, step++, moments);
    benchmark::DoNotOptimize(updates.data());
    benchmark::ClobberMemory();
  }
  // Updates and both moments are read and written.
  const double footprint = 3.0 * sizeof(float) * static_cast<double>(state.range(0));
  report_bytes(state, 2.0 * footprint, footprint);
}

// Rounding a matrix to bfloat16, in the tiles of the matrix unit.
void tiles(benchmark::State& state, Orientation orientation) {
  const Index rows = 324;
  const Index columns = 256;
  const AlignedVector<float> input = normals(rows * columns, 0);
  AlignedVector<float> packed(static_cast<std::size_t>(PackedTiles::size(Precision::bf16, rows, columns)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        pack_tiles(Precision::bf16, {input.data(), rows, columns}, packed.data(), orientation).high);
    benchmark::ClobberMemory();
  }
  report_bytes(state, 6.0 * static_cast<double>(rows * columns));
}

BENCHMARK(layer_norm)->Arg(32)->Arg(64)->Arg(256);
BENCHMARK(gelu);
BENCHMARK(gelu_and_derivative);
BENCHMARK(softmax);
BENCHMARK(softmax_backward);
BENCHMARK_CAPTURE(tiles, as_stored, Orientation::as_stored);
BENCHMARK_CAPTURE(tiles, transposed, Orientation::transposed);
BENCHMARK(adam_update)->Arg(150'000)->Arg(9'500'000);

}  // namespace

int main(int count, char** arguments) {
  const Shape shapes[] = {{320, 32, 96},   {324, 64, 192},   {324, 64, 256},  {324, 256, 64},
                          {162, 128, 512}, {324, 256, 1024}, {324, 1024, 256}};
  for (const Shape& shape : shapes) {
    const std::string size = text(shape.rows, "x", shape.inner, "x", shape.columns);
    for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
      const std::string name = text(name_of(precision), "/", size);
      benchmark::RegisterBenchmark(("product/ours/" + name).c_str(),
                                   [=](benchmark::State& state) { product(state, shape, precision); });
      benchmark::RegisterBenchmark(("gradient_product/ours/" + name).c_str(),
                                   [=](benchmark::State& state) { gradient_product(state, shape, precision); });
    }
    benchmark::RegisterBenchmark(("product/eigen/fp32/" + size).c_str(),
                                 [=](benchmark::State& state) { eigen_product(state, shape); });
  }
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    benchmark::RegisterBenchmark(text("attention/64x2/", name_of(precision)).c_str(),
                                 [=](benchmark::State& state) { attention(state, 64, 2, precision); });
    benchmark::RegisterBenchmark(text("attention/256x8/", name_of(precision)).c_str(),
                                 [=](benchmark::State& state) { attention(state, 256, 8, precision); });
  }
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
