#pragma once

#include "incontext/nn/transformer.hpp"
#include "incontext/optim/adam_w.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/policy/evaluate.hpp"
#include "incontext/policy/train.hpp"
#include "incontext/predictor/ridge.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/pool.hpp"

#include <algorithm>
#include <cstring>
#include <string>

/// The parts of a study that takes milliseconds.
namespace incontext_tests {

using SmallModel = incontext::Transformer<float>;

inline SmallModel small_model(std::uint64_t seed = 1) {
  return SmallModel(
      {.dimension = 2, .points = 4, .layers = 1, .heads = 2, .width = 8, .hidden = 16, .vocabulary = 6, .prefix = 4},
      incontext::Key{seed});
}

inline incontext::LinearRegression broad_task() {
  return incontext::LinearRegression{{.dimension = 2, .points = 4, .noise = 0.5}};
}
inline auto narrow_task() { return incontext::pool(broad_task(), 3, incontext::Key{7}); }

/// Every kind of state that an optimiser has: moments, a schedule, weight decay.
inline auto small_optimiser() {
  return incontext::chain(incontext::clip_norm(1.0), incontext::adam_w({.decay = 0.1}),
                          incontext::rate(incontext::triangle(0.02, 20, 5)));
}
using SmallOptimiser = decltype(small_optimiser());

inline incontext::TrainSettings steps_of(incontext::Index steps) { return {.steps = steps, .batch = 9}; }

inline incontext::Suite small_suite() {
  incontext::Suite suite{{.prompts = 70, .key = incontext::Key{3}}};
  suite.task("broad", broad_task()).task("narrow", narrow_task()).reference("ridge", incontext::Ridge{{.noise = 0.5}});
  return suite;
}

inline incontext::Run<SmallModel> small_start(incontext::ExecutorReference executor = {}) {
  return incontext::start(small_model(), incontext::Key{2}, {.study = "small", .seed = 5, .executor = executor});
}

template <class Scalar>
bool same_parameters(const incontext::ParameterBuffer<Scalar>& left, const incontext::ParameterBuffer<Scalar>& right) {
  return left.layout() == right.layout() &&
         std::memcmp(left.data(), right.data(), static_cast<std::size_t>(left.size()) * sizeof(Scalar)) == 0;
}

/// The same to the bit in everything that a study leaves and goes on from.
template <class Left, class Right>
bool same_run(const Left& left, const Right& right) {
  return same_parameters(left.model().parameters(), right.model().parameters()) && left.records() == right.records() &&
         left.stage_key() == right.stage_key();
}

/// Stands for a crash.
struct Crash {};

/// Throws after step `step` of the stage at `place`.
struct CrashAt {
  std::string place;
  incontext::Index step = 0;
  template <class Scalar>
  void on_step(const incontext::TrainingState<Scalar>& state) const {
    if (state.place == place && state.step == step) {
      throw Crash{};
    }
  }
};

}  // namespace incontext_tests
