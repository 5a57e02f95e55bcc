// Random numbers, batches and closed forms. Names end in the size; one thread.
//   sampling/<numbers>           numbers a second
//   sampling/<task>/<dimension>  a batch of 64 prompts of 41 points
//   encode/interleaved/<dimension>
// and of these the bytes of what is drawn or encoded, with their share of what can be read of a buffer as large;
//   predictor/<name>/<dimension>[/<tasks in the pool>]  prompts of 41 points, with prompts a second beside it

#include <incontext/nn/encoding.hpp>
#include <incontext/predictor/mixture_posterior.hpp>
#include <incontext/task/linear_regression.hpp>
#include <incontext/task/mixture.hpp>
#include <incontext/task/noise.hpp>
#include <incontext/task/pool.hpp>

#include "roofs.hpp"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

using namespace incontext;
using benchmarks::report_bytes;
using benchmarks::report_rate;

constexpr Index batch = 64;
constexpr Index points = 41;
const Key root{0};

LinearRegression regression(Index dimension) {
  return LinearRegression{{.dimension = dimension, .points = points, .noise = 0.5}};
}

/// Bytes of the numbers of a batch.
double bytes_of(const Prompts& prompts) {
  return static_cast<double>(prompts.inputs.size() + prompts.targets.size() + prompts.labels.size()) * sizeof(double);
}

/// `fill(stream, values)` on 4096 numbers at a time.
template <class Fill>
void numbers(benchmark::State& state, Fill fill) {
  std::vector<double> values(4096);
  Index step = 0;
  for (auto _ : state) {
    fill(Stream(root.fold(step++)), values);
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  report_rate(state, "numbers", static_cast<double>(values.size()));
  report_bytes(state, static_cast<double>(values.size()) * sizeof(double));
}

void normals(benchmark::State& state) {
  numbers(state, [](Stream stream, auto& values) { stream.fill_normal(values.begin(), values.end()); });
}
void normals_one_by_one(benchmark::State& state) {
  numbers(state, [](Stream stream, auto& values) {
    for (double& value : values) {
      value = stream.normal();
    }
  });
}
void uniforms(benchmark::State& state) {
  numbers(state, [](Stream stream, auto& values) {
    for (double& value : values) {
      value = stream.uniform();
    }
  });
}
BENCHMARK(normals)->Name("sampling/normals");
BENCHMARK(normals_one_by_one)->Name("sampling/normals_one_by_one");
BENCHMARK(uniforms)->Name("sampling/uniforms");

/// Batches of the task that `make(dimension)` gives.
template <class Make>
void sample(benchmark::State& state, Make make) {
  const auto task = make(state.range(0));
  Index step = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(task.sample(root.fold(step++), batch).labels.data());
  }
  report_rate(state, "prompts", batch);
  report_bytes(state, bytes_of(task.sample(root, batch)));
}

void linear_regression(benchmark::State& state) { sample(state, regression); }
void fixed_pool(benchmark::State& state) {
  sample(state, [](Index dimension) { return pool(regression(dimension), 64, root); });
}
void mixture(benchmark::State& state) {
  sample(state, [](Index dimension) { return mix(regression(dimension), 0.5, pool(regression(dimension), 64, root)); });
}
void noisy_labels(benchmark::State& state) {
  sample(state, [](Index dimension) { return with_noise(regression(dimension), 0.5); });
}

void dimensions(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(5)->Arg(10)->Arg(20)->Arg(40)->Unit(benchmark::kMicrosecond);
}
BENCHMARK(linear_regression)->Name("sampling/linear_regression")->Apply(dimensions);
BENCHMARK(fixed_pool)->Name("sampling/pool")->Apply(dimensions);
BENCHMARK(mixture)->Name("sampling/mixture")->Apply(dimensions);
BENCHMARK(noisy_labels)->Name("sampling/noisy_labels")->Apply(dimensions);

void encode(benchmark::State& state) {
  const Prompts prompts = regression(state.range(0)).sample(root, batch);
  ModelInput<float> input;
  for (auto _ : state) {
    InterleavedTokens::encode(prompts, 0, batch, input);
    benchmark::DoNotOptimize(input.features.data());
  }
  report_rate(state, "prompts", batch);
  report_bytes(state, bytes_of(prompts) + static_cast<double>(input.features.size()) * sizeof(float));
}
BENCHMARK(encode)->Name("encode/interleaved")->Apply(dimensions);

/// Predictions for half fresh, half pool prompts, in groups of 64 as an evaluation makes them.
template <class Make>
void predict(benchmark::State& state, Make make) {
  constexpr Index groups = 16;
  const auto broad = regression(state.range(0));
  const auto narrow = pool(broad, state.range(1), root.fold("pool"));
  const auto predictor = make(narrow.weights());
  const Prompts prompts = mix(broad, 0.5, narrow).sample(root.fold("prompts"), groups * batch);
  for (auto _ : state) {
    for (Index group = 0; group < groups; ++group) {
      benchmark::DoNotOptimize(predictor.predict(prompts.slice(group * batch, batch)).data());
    }
  }
  report_rate(state, "prompts", groups * batch);
}

void ridge(benchmark::State& state) {
  predict(state, [](const RowMatrix<double>&) { return Ridge{{.noise = 0.5}}; });
}
void pool_posterior(benchmark::State& state) {
  predict(state, [](const RowMatrix<double>& weights) { return PoolPosterior{weights, {.noise = 0.5}}; });
}
void mixture_posterior(benchmark::State& state) {
  predict(state, [](const RowMatrix<double>& weights) { return MixturePosterior{weights, {.noise = 0.5}}; });
}

void pools(benchmark::internal::Benchmark* benchmark) {
  for (const Index dimension : {5, 10, 20, 40}) {
    benchmark->Args({dimension, 64});
  }
  for (const Index tasks : {1, 4, 16, 256, 1024}) {
    benchmark->Args({20, tasks});
  }
  benchmark->Unit(benchmark::kMillisecond);
}
BENCHMARK(ridge)
    ->Name("predictor/ridge")
    ->Args({5, 1})
    ->Args({10, 1})
    ->Args({20, 1})
    ->Args({40, 1})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(pool_posterior)->Name("predictor/pool_posterior")->Apply(pools);
BENCHMARK(mixture_posterior)->Name("predictor/mixture_posterior")->Apply(pools);

}  // namespace

BENCHMARK_MAIN();
