// Every kernel of a training step, one thread, at the sizes of train_step.cpp: <kernel>/<precision or size>, and
// eigen/<the same> for the kernels of peers/eigen_kernels.hpp, whose results are checked to be ours.
// Beside the time: floating-point operations or bytes a second, and their share of what the processor can do, measured
// just after: fused multiply-adds on registers, or reading a buffer of as many bytes, from whichever cache it is in.

#include <incontext/core/key.hpp>
#include <incontext/nn/activation.hpp>
#include <incontext/nn/attention.hpp>
#include <incontext/nn/norm.hpp>
#include <incontext/optim/adam.hpp>
#include <incontext/simd/packed_operand.hpp>

#include "peers/eigen_kernels.hpp"
#include "roofs.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace incontext;
using benchmarks::report_bytes;
using benchmarks::report_operations;
using Values = AlignedVector<float>;

void fill_normal(Values& values, Index number, double scale = 1.0) {
  Stream(Key(0).fold(number)).fill_normal(values.begin(), values.end(), scale);
}

Values normals(Index count, Index number, double scale = 1.0) {
  Values values(static_cast<std::size_t>(count));
  fill_normal(values, number, scale);
  return values;
}

Eigen::Map<eigen_kernels::Matrix> matrix(Values& values, Index rows, Index columns) {
  return {values.data(), rows, columns};
}
Eigen::Map<eigen_kernels::Row> row(Values& values) { return {values.data(), static_cast<Index>(values.size())}; }

// ---- Timing ---------------------------------------------------------------------------------------------------------

// What is timed is a structure with its operands, and with
//   ours(), eigen()  the kernel, twice; the second where there is one
//   output           what it computes
//   report(state)    the work of a call

template <class Function>
void time_calls(benchmark::State& state, const Values& output, const Function& function) {
  for (auto _ : state) {
    function();
    benchmark::DoNotOptimize(output.data());
    benchmark::ClobberMemory();
  }
}

template <class Make>
void time_ours(benchmark::State& state, const Make& make) {
  auto kernel = make();
  time_calls(state, kernel.output, [&] { kernel.ours(); });
  kernel.report(state);
}

template <class Make>
void time_eigen(benchmark::State& state, const Make& make) {
  const Values expected = [&] {
    auto kernel = make();
    kernel.ours();
    return Values(kernel.output);
  }();
  auto kernel = make();
  kernel.eigen();
  const auto count = static_cast<Index>(expected.size());
  const Eigen::Map<const Eigen::VectorXf> ours(expected.data(), count);
  const Eigen::Map<const Eigen::VectorXf> theirs(kernel.output.data(), count);
  // Sums of a thousand numbers lose less than a hundredth of that; another kernel is off by about as much as it is.
  if (!((ours - theirs).norm() <= 1e-4F * ours.norm())) {
    state.SkipWithError("Eigen's result is not ours");
    return;
  }
  time_calls(state, kernel.output, [&] { kernel.eigen(); });
  kernel.report(state);
}

template <class Make>
void add(const std::string& name, const Make& make) {
  benchmark::RegisterBenchmark(name.c_str(), [make](benchmark::State& state) { time_ours(state, make); });
}

template <class Make>
void add_with_eigen(const std::string& name, const Make& make) {
  add(name, make);
  benchmark::RegisterBenchmark(("eigen/" + name).c_str(), [make](benchmark::State& state) { time_eigen(state, make); });
}

// ---- Kernels --------------------------------------------------------------------------------------------------------

struct Shape {
  Index rows, inner, columns;

  [[nodiscard]] double operations() const { return 2.0 * static_cast<double>(rows * inner * columns); }
};

struct Product {
  Shape shape;
  Precision precision;
  Values left = normals(shape.rows * shape.inner, 0);
  Values right = normals(shape.inner * shape.columns, 1);
  Values memory = normals(PackedOperand<float>::size(precision, shape.inner, shape.columns), 2);
  PackedOperand<float> packed =
      pack_operand<float>(precision, {right.data(), shape.inner, shape.columns}, memory.data());
  Values output = normals(shape.rows * shape.columns, 3);
  Workspace<float> workspace{};

  void ours() {
    multiply<float>({left.data(), shape.rows, shape.inner}, packed, {output.data(), shape.rows, shape.columns}, {},
                    workspace);
  }
  void eigen() {
    eigen_kernels::multiply(matrix(left, shape.rows, shape.inner), matrix(right, shape.inner, shape.columns),
                            matrix(output, shape.rows, shape.columns));
  }
  void report(benchmark::State& state) const { report_operations(state, shape.operations()); }
};

struct GradientProduct {
  Shape shape;
  Precision precision;
  Values left = normals(shape.rows * shape.inner, 0);
  Values right = normals(shape.rows * shape.columns, 1);
  Values output = normals(shape.inner * shape.columns, 2);
  Workspace<float> workspace{};

  void ours() {
    add_transposed_product<float>(precision, {left.data(), shape.rows, shape.inner},
                                  {right.data(), shape.rows, shape.columns},
                                  {output.data(), shape.inner, shape.columns}, workspace);
  }
  void eigen() {
    eigen_kernels::add_transposed_product(matrix(left, shape.rows, shape.inner),
                                          matrix(right, shape.rows, shape.columns),
                                          matrix(output, shape.inner, shape.columns));
  }
  void report(benchmark::State& state) const { report_operations(state, shape.operations()); }
};

// Attention alone, all heads of two sequences, forward and backward, with its two affine layers.
struct AttentionLayer {
  using Layer = Attention<SoftmaxKernel, CausalMask>;

  Index width;
  Index heads;
  Precision precision;
  SequenceShape shape{2, 81};
  ParameterLayout layout{};
  Layer layer{layout, "attention", width, heads};
  // Of such a size that queries, keys and values are of the size of the input.
  Values parameters = normals(layout.size(), 0, 1.0 / std::sqrt(static_cast<double>(width)));
  Values gradients = Values(static_cast<std::size_t>(layout.size()));
  Values input = normals(shape.rows() * width, 1);
  Values output = Values(input.size());  // the gradient of the input
  Values attended = Values(input.size());
  Workspace<float> workspace{};
  Layer::Cache<float> cache{};
  Weights<float> weights{parameters.data(), precision};
  eigen_kernels::Attention peer{shape.sequences, shape.tokens, width, heads, affine(0), affine(2)};

  // The layer whose weights are the tensor of this number; its bias comes next.
  [[nodiscard]] eigen_kernels::Affine affine(std::size_t number) {
    const ParameterEntry& weight = layout.entries()[number];
    const ParameterEntry& bias = layout.entries()[number + 1];
    return {{parameters.data() + weight.offset, weight.shape[0], weight.shape[1]},
            {parameters.data() + bias.offset, bias.size},
            {gradients.data() + weight.offset, weight.shape[0], weight.shape[1]},
            {gradients.data() + bias.offset, bias.size}};
  }
  void ours() {
    workspace.reset();
    const MatrixView<const float> result =
        layer.forward(weights, shape, MatrixView<const float>(input.data(), shape.rows(), width), cache, workspace);
    const MatrixView<float> d_input = layer.backward(weights, shape, result, cache, gradients.data(), workspace);
    copy_matrix<float>(d_input, {output.data(), shape.rows(), width});
  }
  void eigen() {
    auto result = matrix(attended, shape.rows(), width);
    peer.forward(matrix(input, shape.rows(), width), result);
    peer.backward(matrix(input, shape.rows(), width), result, matrix(output, shape.rows(), width));
  }
  void report(benchmark::State& state) const {
    const auto tokens = static_cast<double>(shape.tokens);
    report_operations(state, static_cast<double>(shape.sequences * width) *
                                 (24.0 * tokens * static_cast<double>(width) + 6.0 * tokens * (tokens + 1.0)));
  }
};

struct LayerNormLayer {
  Index width;
  SequenceShape shape{2, 81};
  ParameterLayout layout{};
  LayerNorm layer{layout, "norm", width};
  Values parameters = normals(layout.size(), 0);
  Values gradients = Values(static_cast<std::size_t>(layout.size()));
  Values input = normals(shape.rows() * width, 1);
  Values output = Values(input.size());  // the gradient of the input
  Values normalised = Values(input.size());
  Workspace<float> workspace{};
  LayerNorm::Cache<float> cache{};
  eigen_kernels::LayerNorm peer{shape.rows(), width};

  [[nodiscard]] Eigen::Map<eigen_kernels::Row> vector(Values& values, std::size_t number) const {
    return {values.data() + layout.entries()[number].offset, width};
  }
  void ours() {
    workspace.reset();
    const MatrixView<const float> result = layer.forward(
        parameters.data(), shape, MatrixView<const float>(input.data(), shape.rows(), width), cache, workspace);
    layer.backward_onto({}, parameters.data(), shape, result, cache, gradients.data(), workspace,
                        MatrixView<float>(output.data(), shape.rows(), width));
  }
  void eigen() {
    const auto gain = vector(parameters, 0);
    auto result = matrix(normalised, shape.rows(), width);
    peer.forward(matrix(input, shape.rows(), width), gain, vector(parameters, 1), result);
    peer.backward(result, gain, matrix(output, shape.rows(), width), vector(gradients, 0), vector(gradients, 1));
  }
  void report(benchmark::State& state) const {
    report_bytes(state, 5.0 * sizeof(float) * static_cast<double>(shape.rows() * width));
  }
};

// A function of every number, as a layer computes it: on the tiles of a product, of 32 columns.
struct OverATile {
  static constexpr Index rows = 128;
  static constexpr Index columns = 32;
  Values input = normals(rows * columns, 0);
  Values output = input;

  template <class Function>
  void apply(const Function& output_of) {
    const MatrixView<const float> x(input.data(), rows, columns);
    const MatrixView<float> y(output.data(), rows, columns);
    for_each_place<float>(rows, columns, [x, y, &output_of](const auto& place) INCONTEXT_ALWAYS_INLINE {
      place.store(output_of(place.load(x)), y);
    });
  }
  void report(benchmark::State& state) const { report_bytes(state, 2.0 * sizeof(float) * rows * columns); }
};

struct GeluOfATile : OverATile {
  void ours() {
    apply([](const auto& x) INCONTEXT_ALWAYS_INLINE { return value_of<Gelu>(x); });
  }
  void eigen() { eigen_kernels::gelu(matrix(input, rows, columns), matrix(output, rows, columns)); }
};

struct GeluAndDerivativeOfATile : OverATile {
  eigen_kernels::Matrix gate = eigen_kernels::Matrix(rows, columns);

  void ours() {
    apply([](const auto& x) INCONTEXT_ALWAYS_INLINE {
      const auto [value, derivative] = value_and_derivative<Gelu>(x);
      return value * derivative;
    });
  }
  void eigen() {
    eigen_kernels::gelu_times_derivative(matrix(input, rows, columns), gate, matrix(output, rows, columns));
  }
};

// Attention weights of one head under a causal mask, [81, 96]: what a row sees counts.
struct OfAHead {
  static constexpr Index tokens = 81;
  Index columns = padded<float>(tokens);

  static Index visible(Index query) { return query + 1; }
  static void report_streams(benchmark::State& state, double streams) {
    report_bytes(state, streams * sizeof(float) * static_cast<double>(tokens * (tokens + 1) / 2));
  }
};

struct SoftmaxOfAHead : OfAHead {
  Values scores = normals(tokens * columns, 0);
  Values output = scores;

  void ours() {
    std::copy(scores.begin(), scores.end(), output.begin());
    softmax_rows(0.125F, MatrixView<float>(output.data(), tokens, columns), visible);
  }
  void eigen() {
    std::copy(scores.begin(), scores.end(), output.begin());
    eigen_kernels::causal_softmax(0.125F, matrix(output, tokens, columns));
  }
  static void report(benchmark::State& state) { report_streams(state, 2.0); }
};

struct SoftmaxBackwardOfAHead : OfAHead {
  Values weights = normals(tokens * columns, 0);
  Values d_weights = normals(tokens * columns, 1);
  Values output = d_weights;

  void ours() {
    std::copy(d_weights.begin(), d_weights.end(), output.begin());
    softmax_rows_backward(0.125F, MatrixView<const float>(weights.data(), tokens, columns),
                          MatrixView<float>(output.data(), tokens, columns), visible);
  }
  void eigen() {
    std::copy(d_weights.begin(), d_weights.end(), output.begin());
    eigen_kernels::causal_softmax_backward(0.125F, matrix(weights, tokens, columns), matrix(output, tokens, columns));
  }
  static void report(benchmark::State& state) { report_streams(state, 3.0); }
};

struct AdamUpdate {
  Index count;
  std::shared_ptr<const ParameterLayout> layout = one_tensor(count);
  Adam optimiser = adam();
  ParameterBuffer<float> parameters{layout};
  ParameterBuffer<float> updates = random(layout);
  Adam::State<float> moments = optimiser.init<float>(layout);
  Index step = 0;
  Values& output = updates.values();

  static std::shared_ptr<const ParameterLayout> one_tensor(Index size) {
    auto layout = std::make_shared<ParameterLayout>();
    layout->declare("all", {size});
    return layout;
  }
  static ParameterBuffer<float> random(const std::shared_ptr<const ParameterLayout>& layout) {
    ParameterBuffer<float> buffer(layout);
    fill_normal(buffer.values(), 0);
    return buffer;
  }
  void ours() { optimiser.update(updates, parameters, step++, moments); }
  void eigen() {
    eigen_kernels::adam(step++, row(moments.first_moment.values()), row(moments.second_moment.values()), row(output));
  }
  void report(benchmark::State& state) const {
    // Updates and both moments are read and written.
    const double footprint = 3.0 * sizeof(float) * static_cast<double>(count);
    report_bytes(state, 2.0 * footprint, footprint);
  }
};

// Rounding a matrix to bfloat16, in the tiles of the matrix unit.
struct Tiles {
  Orientation orientation;
  static constexpr Index rows = 324;
  static constexpr Index columns = 256;
  Values input = normals(rows * columns, 0);
  Values output = normals(PackedTiles::size(Precision::bf16, rows, columns), 1);

  void ours() { pack_tiles(Precision::bf16, {input.data(), rows, columns}, output.data(), orientation); }
  static void report(benchmark::State& state) { report_bytes(state, 6.0 * rows * columns); }
};

void add_all() {
  const Shape shapes[] = {{320, 32, 96},   {324, 64, 192},   {324, 64, 256},  {324, 256, 64},
                          {162, 128, 512}, {324, 256, 1024}, {324, 1024, 256}};
  for (const Shape& shape : shapes) {
    const std::string size = text(shape.rows, "x", shape.inner, "x", shape.columns);
    const auto product = [shape](Precision precision) { return [=] { return Product{shape, precision}; }; };
    const auto gradient = [shape](Precision precision) { return [=] { return GradientProduct{shape, precision}; }; };
    add_with_eigen("product/fp32/" + size, product(Precision::fp32));
    add_with_eigen("gradient_product/fp32/" + size, gradient(Precision::fp32));
    for (const Precision precision : {Precision::bf16, Precision::bf16x3}) {
      add(text("product/", name_of(precision), "/", size), product(precision));
      add(text("gradient_product/", name_of(precision), "/", size), gradient(precision));
    }
  }
  for (const auto& [width, heads] : {std::pair<Index, Index>{64, 2}, {256, 8}}) {
    const auto attention = [width = width, heads = heads](Precision precision) {
      return [=] { return AttentionLayer{width, heads, precision}; };
    };
    add_with_eigen(text("attention/fp32/", width, "x", heads), attention(Precision::fp32));
    add(text("attention/bf16/", width, "x", heads), attention(Precision::bf16));
  }
  for (const Index width : {32, 64, 256}) {
    add_with_eigen(text("layer_norm/", width), [width] { return LayerNormLayer{width}; });
  }
  add_with_eigen("gelu", [] { return GeluOfATile{}; });
  add_with_eigen("gelu_and_derivative", [] { return GeluAndDerivativeOfATile{}; });
  add_with_eigen("softmax", [] { return SoftmaxOfAHead{}; });
  add_with_eigen("softmax_backward", [] { return SoftmaxBackwardOfAHead{}; });
  for (const Index count : {150'000, 9'500'000}) {
    add_with_eigen(text("adam_update/", count), [count] { return AdamUpdate{count}; });
  }
  add("tiles/as_stored", [] { return Tiles{Orientation::as_stored}; });
  add("tiles/transposed", [] { return Tiles{Orientation::transposed}; });
}

}  // namespace

int main(int count, char** arguments) {
  add_all();
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
