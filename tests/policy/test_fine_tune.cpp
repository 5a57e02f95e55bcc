#include "incontext/policy/fine_tune.hpp"

#include "incontext/policy/pretrain.hpp"
#include "incontext/task/mixture.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

auto pretrained() { return run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(3)}, small_start()); }

template <class Kind>
auto fine_tuned(const Kind& task, const TrainSettings& settings) {
  return run_stage(FineTune{task, small_optimiser(), settings}, pretrained());
}

/// The steps of a stage by hand, on a task, with a trainer of its own.
template <class Run, class Kind>
SmallModel by_hand(const Run& run, const Kind& task, const TrainSettings& settings) {
  SmallModel model = run.model();
  Trainer trainer(model, small_optimiser(), settings.loss, settings.freeze);
  for (Index step = 0; step < settings.steps; ++step) {
    trainer.step(model, task.sample(run.stage_key().fold("batch").fold(step), settings.batch), step, {});
  }
  return model;
}

bool same_entry(const ParameterEntry& entry, const SmallModel& left, const SmallModel& right) {
  return std::memcmp(left.parameters().data() + entry.offset, right.parameters().data() + entry.offset,
                     static_cast<std::size_t>(entry.size) * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("fine-tuning starts with a fresh optimiser") {
  const auto run = fine_tuned(narrow_task(), steps_of(4));
  CHECK(same_parameters(run.model().parameters(), by_hand(pretrained(), narrow_task(), steps_of(4)).parameters()));
  CHECK_FALSE(same_parameters(run.model().parameters(), pretrained().model().parameters()));
  CHECK(run.stage() == 2);

  // One stage of 3 + 4 steps, whose moments and schedule go on, ends elsewhere even on the same batches.
  SmallModel kept = small_model();
  Trainer trainer(kept, small_optimiser());
  for (Index step = 0; step < 3; ++step) {
    trainer.step(kept, broad_task().sample(small_start().stage_key().fold("batch").fold(step), 9), step, {});
  }
  CHECK(same_parameters(kept.parameters(), pretrained().model().parameters()));
  for (Index step = 0; step < 4; ++step) {
    trainer.step(kept, narrow_task().sample(pretrained().stage_key().fold("batch").fold(step), 9), step + 3, {});
  }
  CHECK_FALSE(same_parameters(run.model().parameters(), kept.parameters()));
}

TEST_CASE("freezing keeps exactly the parameters that match, weight decay or not") {
  for (const std::vector<std::string>& freeze :
       {std::vector<std::string>{"transformer.h.0.*"}, {"*.weight"}, {"transformer.wte.weight", "read_out.*"}}) {
    CAPTURE(freeze.front());
    TrainSettings settings = steps_of(3);
    settings.freeze = freeze;
    // Every token of the prompt is used, so that everything that is not frozen gets a gradient or decays.
    const auto run = fine_tuned(narrow_task(), settings);
    Index kept = 0;
    Index moved = 0;
    const SmallModel before = pretrained().model();
    for (const ParameterEntry& entry : before.parameters().layout().entries()) {
      CAPTURE(entry.name);
      const bool frozen =
          std::any_of(freeze.begin(), freeze.end(), [&](const auto& pattern) { return matches(entry.name, pattern); });
      CHECK(same_entry(entry, before, run.model()) == frozen);
      ++(frozen ? kept : moved);
    }
    CHECK(kept > 0);
    CHECK(moved > 0);
  }
}

TEST_CASE("frozen parameters do not change how the others are clipped beyond their own gradient") {
  // Freezing everything but the read-out is training a linear model on fixed features: clipping sees its gradient
  // alone. By hand: the same with the gradient held before the transforms.
  TrainSettings settings = steps_of(3);
  settings.freeze = {"transformer.*", "read_in.*"};
  const auto run = fine_tuned(narrow_task(), settings);
  SmallModel model = pretrained().model();
  const auto optimiser = small_optimiser();
  auto state = optimiser.init<float>(model.parameters().shared_layout());
  BatchGradient gradient(model);
  const auto frozen = model.parameters().layout().matching(settings.freeze);
  for (Index step = 0; step < 3; ++step) {
    gradient(model, narrow_task().sample(pretrained().stage_key().fold("batch").fold(step), 9), SquaredError{}, {});
    detail::hold(frozen, gradient.gradient());
    optimiser.update(gradient.gradient(), model.parameters(), step, state);
    detail::hold(frozen, gradient.gradient());
    model.parameters() += gradient.gradient();
  }
  CHECK(same_parameters(run.model().parameters(), model.parameters()));
}

TEST_CASE("a pattern that freezes nothing is refused by name") {
  TrainSettings settings = steps_of(1);
  settings.freeze = {"transformer.*", "attention.*"};
  CHECK_THROWS_WITH_AS(static_cast<void>(fine_tuned(narrow_task(), settings)),
                       doctest::Contains("the pattern 'attention.*' matches no parameter"), ConfigurationError);
}

TEST_CASE("earlier tasks are rehearsed by mixing them in") {
  const auto rehearsed = mix(narrow_task(), 0.25, broad_task());
  const auto run = fine_tuned(rehearsed, steps_of(3));
  CHECK(same_parameters(run.model().parameters(), by_hand(pretrained(), rehearsed, steps_of(3)).parameters()));
  CHECK_FALSE(same_parameters(run.model().parameters(), fine_tuned(narrow_task(), steps_of(3)).model().parameters()));
}

TEST_CASE("the defaults of fine-tuning are shorter than those of pretraining") {
  struct Steps {
    Index seen = 0;
    Signal on_step(const TrainingState<float>& state) {
      seen = state.steps;
      return Signal::stop;
    }
  } steps;
  static_cast<void>(run_stage(FineTune{narrow_task(), rate(0.1)}, small_start(), steps));
  CHECK(steps.seen == 400);
}
