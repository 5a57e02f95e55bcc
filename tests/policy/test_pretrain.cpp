#include "incontext/policy/pretrain.hpp"

#include "incontext/nn/architecture.hpp"
#include "incontext/task/mixture.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace incontext;
using namespace incontext_tests;

namespace {

struct StageName {
  std::string seen;
  template <class Scalar>
  void on_begin(const TrainingState<Scalar>& state) {
    seen = state.stage;
  }
};

}  // namespace

TEST_CASE("pretraining is a pure function of the run") {
  const auto stage = Pretrain{mix(broad_task(), 0.5, narrow_task()), small_optimiser(), steps_of(3)};
  const auto run = run_stage(stage, small_start());
  CHECK(same_run(run_stage(stage, small_start()), run));
  CHECK_FALSE(same_parameters(run.model().parameters(), small_model().parameters()));
  CHECK(run.stage() == 1);
  CHECK(run.records().empty());
  const auto other_key = run_stage(stage, start(small_model(), Key{11}));
  CHECK_FALSE(same_parameters(other_key.model().parameters(), run.model().parameters()));
}

TEST_CASE("two stages in a row draw different batches") {
  // Plain SGD has no state, so only the batches can tell two stages of one step from one stage twice.
  const auto stage = Pretrain{broad_task(), rate(0.1), steps_of(1)};
  const auto once = run_stage(stage, small_start());
  const auto twice = run_stage(stage, once);
  auto restarted = start(once.model(), Key{2});
  CHECK_FALSE(same_parameters(run_stage(stage, restarted).model().parameters(), twice.model().parameters()));
  restarted.next_stage();
  CHECK(same_parameters(run_stage(stage, restarted).model().parameters(), twice.model().parameters()));
}

TEST_CASE("a stage has a name for observers") {
  StageName name;
  static_cast<void>(run_stage(Pretrain{broad_task(), rate(0.1), steps_of(0)}, small_start(), name));
  CHECK(name.seen == "pretrain");
  static_cast<void>(run_stage(Pretrain{broad_task(), rate(0.1), steps_of(0), "again"}, small_start(), name));
  CHECK(name.seen == "again");
}

TEST_CASE("other architectures and scalars are trained by the same stage") {
  const Transformer<double, LinearSelfAttention> model{
      {.dimension = 2, .points = 4, .layers = 1, .heads = 1, .width = 8}, Key{1}};
  const auto run = run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(2)}, start(model, Key{2}));
  CHECK_FALSE(same_parameters(run.model().parameters(), model.parameters()));
}
