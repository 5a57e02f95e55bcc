#include "incontext/policy/observer.hpp"

#include "incontext/policy/fork.hpp"
#include "incontext/policy/pretrain.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

/// Has every hook, and writes down what is called.
struct Everything {
  std::string name;
  std::vector<std::string>* log;
  Index stop_at = -1;

  template <class Scalar>
  void restore(TrainingState<Scalar>& state) {
    note("restore", state);
  }
  template <class Scalar>
  void on_begin(TrainingState<Scalar>& state) {
    note("begin", state);
  }
  template <class Scalar>
  Signal on_step(TrainingState<Scalar>& state) {
    note("step", state);
    return state.step == stop_at ? Signal::stop : Signal::proceed;
  }
  template <class Scalar>
  void on_end(TrainingState<Scalar>& state) {
    CHECK(state.finished);
    note("end", state);
  }
  template <class Scalar>
  void save(const TrainingState<Scalar>& state) {
    note(state.finished ? "save finished" : "save", state);
  }
  void on_records(const std::vector<Record>& records) {
    log->push_back(text(name, " records ", records.front().stage, " ", records.size()));
  }
  template <class State>
  void note(const char* hook, const State& state) {
    log->push_back(text(name, " ", hook, " ", state.step));
  }
};

/// Has one hook, which asks for a constant state and returns nothing.
struct StepCounter {
  int calls = 0;
  template <class Scalar>
  void on_step(const TrainingState<Scalar>&) {
    ++calls;
  }
};

/// Its hook is for another scalar type.
struct DoubleOnly {
  int calls = 0;
  void on_step(const TrainingState<double>&) { ++calls; }
};

struct Nothing {};

}  // namespace

TEST_CASE("hooks are called in their order, and for every observer before the next hook") {
  std::vector<std::string> log;
  Everything first{"a", &log};
  Everything second{"b", &log};
  static_cast<void>((Pretrain{broad_task(), small_optimiser(), steps_of(2)} | Evaluate{"after", small_suite()})(
      small_start(), first, second));
  const std::vector<std::string> expected = {
      "a restore 0",       "b restore 0", "a begin 0",         "b begin 0",  //
      "a step 1",          "b step 1",    "a save 1",          "b save 1",   //
      "a step 2",          "b step 2",    "a save 2",          "b save 2",   //
      "a end 2",           "b end 2",     "a save finished 2", "b save finished 2", "a records after 32",
      "b records after 32"};
  CHECK(log == expected);
}

TEST_CASE("Signal::stop from any observer ends the stage after the step, when all were told") {
  std::vector<std::string> log;
  Everything first{"a", &log, 1};
  Everything second{"b", &log};
  StepCounter counter;
  const auto run =
      run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(5)}, small_start(), first, second, counter);
  const std::vector<std::string> expected = {"a restore 0",       "b restore 0",      "a begin 0", "b begin 0",
                                             "a step 1",          "b step 1",         "a end 1",   "b end 1",
                                             "a save finished 1", "b save finished 1"};
  CHECK(log == expected);
  CHECK(counter.calls == 1);
  CHECK(run.stage() == 1);
  // It is the run of one step, but for the schedule's and the checkpoint's knowledge of more.
  CHECK(same_run(run, run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(1)}, small_start())));
}

TEST_CASE("hooks are found by their signature") {
  StepCounter counter;
  DoubleOnly doubles;
  Nothing nothing;
  const auto stage = Pretrain{broad_task(), small_optimiser(), steps_of(3)};
  static_cast<void>(run_stage(stage, small_start(), nothing, counter, doubles));
  CHECK(counter.calls == 3);
  CHECK(doubles.calls == 0);
  static_cast<void>(run_stage(stage, start(small_model().cast<double>(), Key{2}), counter, doubles));
  CHECK(counter.calls == 6);
  CHECK(doubles.calls == 3);
}

TEST_CASE("observers do not change what is computed, and are told of every branch") {
  const auto stage = Pretrain{broad_task(), small_optimiser(), steps_of(3)};
  StepCounter counter;
  const auto study = stage | fork(stage, stage);
  CHECK(same_run(study(small_start(), counter), study(small_start())));
  CHECK(counter.calls == 9);
}

TEST_CASE("the state of a stage says what a checkpoint needs") {
  struct Look {
    TrainingState<float> seen;
    void on_step(const TrainingState<float>& state) { seen = state; }
  } look;
  static_cast<void>(run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(2), "words"}, small_start(), look));
  CHECK(look.seen.stage == "words");
  CHECK(look.seen.place == "0");
  CHECK(look.seen.step == 2);
  CHECK(look.seen.steps == 2);
  CHECK(look.seen.tokens_a_step == 9 * 7);  // 9 prompts of x y x y x y x
  CHECK(look.seen.loss > 0.0);
  CHECK(look.seen.key == small_start().stage_key());
  std::vector<std::string> names;
  for (const auto& [name, value] : look.seen.settings) {
    names.push_back(name);
  }
  CHECK(names == std::vector<std::string>{"architecture", "batch", "curriculum", "freeze", "loss weights", "model",
                                          "optimiser", "steps", "task"});
  names.clear();
  for (const auto& [name, buffer] : look.seen.buffers) {
    names.push_back(name);
  }
  CHECK(names == std::vector<std::string>{"", "1.0.adam.first_moment", "1.0.adam.second_moment"});
}
