#include "incontext/policy/early_stop.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace incontext;

namespace {

/// The step at which a stage with these losses stops, or 0.
Index stopping_step(const EarlyStop& observer, const std::vector<double>& losses) {
  TrainingState<float> state;
  for (const double loss : losses) {
    state.loss = loss;
    ++state.step;
    if (observer.on_step(state) == Signal::stop) {
      return state.step;
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("it stops when there was no new minimum for `patience` steps") {
  const EarlyStop observer{{.patience = 3, .smoothing = 0.0}};
  CHECK(stopping_step(observer, {5, 4, 3, 2, 1}) == 0);
  CHECK(stopping_step(observer, {5, 5, 5, 5, 5}) == 4);
  CHECK(stopping_step(observer, {5, 4, 6, 6, 3, 3, 3, 3}) == 8);
  CHECK(stopping_step(observer, {1, 2, 3, 0.5, 2, 3, 4}) == 7);
}

TEST_CASE("smoothing is a running mean that starts at the first loss") {
  // The smoothed losses are 8, 4, 6, 3: the raw minimum at step 2 counts, the raw 8 at step 3 is half of its rise.
  const EarlyStop observer{{.patience = 100, .smoothing = 0.5, .target = 3.5}};
  CHECK(stopping_step(observer, {8, 0, 8, 0}) == 4);
  const EarlyStop strict{{.patience = 100, .smoothing = 0.5, .target = 3.0}};
  CHECK(stopping_step(strict, {8, 0, 8, 0}) == 0);  // 3 is not below 3
}

TEST_CASE("it stops as soon as the target is reached") {
  const EarlyStop observer{{.patience = 100, .smoothing = 0.0, .target = 0.5}};
  CHECK(stopping_step(observer, {2, 1, 0.5, 0.4, 0.3}) == 4);
  CHECK(stopping_step(observer, {0.1}) == 1);
}

TEST_CASE("it remembers in the state alone, so that a stage can be taken up by another observer") {
  const std::vector<double> losses = {5, 4, 4.5, 4.2, 4.1, 4.4, 4.3, 4.6, 4.2, 4.4, 4.5};
  const EarlyStop observer{{.patience = 5, .smoothing = 0.3}};
  const Index whole = stopping_step(observer, losses);
  REQUIRE(whole > 2);
  for (Index interruption = 1; interruption < whole; ++interruption) {
    TrainingState<float> state;
    Index stopped = 0;
    for (Index step = 1; stopped == 0 && step <= static_cast<Index>(losses.size()); ++step) {
      state.loss = losses[static_cast<std::size_t>(step - 1)];
      state.step = step;
      const EarlyStop another{{.patience = 5, .smoothing = 0.3}};
      const Signal signal = step <= interruption ? observer.on_step(state) : another.on_step(state);
      stopped = signal == Signal::stop ? step : 0;
      if (step == interruption) {
        TrainingState<float> restored;
        restored.memory = state.memory;
        state = restored;
      }
    }
    CHECK(stopped == whole);
  }
}

TEST_CASE("every stage begins anew") {
  const EarlyStop observer{{.patience = 2, .smoothing = 0.0}};
  CHECK(stopping_step(observer, {1, 2, 3}) == 3);
  CHECK(stopping_step(observer, {9, 8, 7, 6}) == 0);
}

TEST_CASE("settings that make no sense are refused by name") {
  using Settings = EarlyStop::Settings;
  CHECK_THROWS_WITH_AS(EarlyStop(Settings{.patience = 0}), "EarlyStop: patience is 0, expected at least 1",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(EarlyStop(Settings{.smoothing = 1.0}), "EarlyStop: smoothing is 1, expected within [0, 1)",
                       ConfigurationError);
  CHECK_THROWS_AS(EarlyStop(Settings{.smoothing = -0.1}), ConfigurationError);
  CHECK_THROWS_AS(EarlyStop(Settings{.smoothing = std::numeric_limits<double>::quiet_NaN()}), ConfigurationError);
  CHECK_THROWS_AS(EarlyStop(Settings{.target = std::numeric_limits<double>::quiet_NaN()}), ConfigurationError);
}
