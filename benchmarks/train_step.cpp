// The whole training step: sampling, forward, backward, Adam. Batch 64, interleaved tokens, the mean of real time after
// a first step. Google Benchmark reports real time in any case; asked to go by it, it would change the names.
//   train_step/<size>/<precision>/threads:<n>, with tokens a second, parameters and memory beside it: scratch with its
//     bound, and gradients, all in bytes.

#include <incontext/incontext.hpp>

#include <benchmark/benchmark.h>

#include <chrono>

namespace {

using namespace incontext;

struct Size {
  const char* name;
  TransformerSettings model;
};

void train_step(benchmark::State& state, Size size, Precision precision, Index threads) {
  const Key root{0};
  size.model.precision = precision;
  const LinearRegression task{{.dimension = size.model.dimension, .points = size.model.points, .noise = 1.0}};
  Transformer<float> model{size.model, root.fold("initialisation")};
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(1e-4)));
  ThreadExecutor executor(threads);
  constexpr Index batch = 64;
  Index step = 0;
  const auto take_a_step = [&] {
    trainer.step(model, task.sample(root.fold(step), batch, executor), step, executor);
    ++step;
  };
  take_a_step();  // finds all memory that the others will use, which takes longer than a step
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    take_a_step();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const Index tokens = InterleavedTokens::tokens(0, size.model.points);
  state.counters["tokens_per_second"] = static_cast<double>((step - 1) * batch * tokens) / elapsed.count();
  state.counters["parameters"] = static_cast<double>(model.parameters().layout().parameter_count());
  const auto& gradient = trainer.gradient();
  state.counters["workspace_bytes"] = static_cast<double>(gradient.workspace_bytes());
  state.counters["workspace_bound"] = static_cast<double>(gradient.workspace_bound(model, batch, tokens, threads));
  state.counters["gradient_bytes"] = static_cast<double>(gradient.gradient_bytes());
}

}  // namespace

int main(int count, char** arguments) {
  // Garg et al. 2022's tiny, small and standard, and one below them.
  const Size sizes[] = {
      {"micro", {.dimension = 20, .points = 20, .layers = 2, .heads = 2, .width = 32}},
      {"tiny", {.dimension = 20, .points = 41, .layers = 3, .heads = 2, .width = 64}},
      {"small", {.dimension = 20, .points = 41, .layers = 6, .heads = 4, .width = 128}},
      {"standard", {.dimension = 20, .points = 41, .layers = 12, .heads = 8, .width = 256}},
  };
  for (const Size& size : sizes) {
    for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
      for (const Index threads : {1, 2}) {
        benchmark::RegisterBenchmark(
            text("train_step/", size.name, "/", name_of(precision), "/threads:", threads).c_str(),
            [size, precision, threads](benchmark::State& state) { train_step(state, size, precision, threads); })
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
