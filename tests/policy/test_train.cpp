#include "incontext/policy/train.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/optim/momentum.hpp"
#include "incontext/policy/pretrain.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

static_assert(Trainable<SmallModel>);
static_assert(!Trainable<Ridge>);

namespace {

template <class Stage>
auto train_small(const Stage& stage) {
  return run_stage(stage, small_start());
}

/// A task that a curriculum cannot restrict, with an infinite label in the batch of one key: the last one, which no
/// model reads.
struct Breaking {
  LinearRegression inner = broad_task();
  Key broken;
  [[nodiscard]] Prompts sample(Key key, Index count) const {
    Prompts prompts = inner.sample(key, count);
    if (key == broken) {
      prompts.labels(0, prompts.points - 1) = std::numeric_limits<double>::infinity();
    }
    return prompts;
  }
};
static_assert(Task<Breaking> && !RestrictableTask<Breaking>);

std::string message_of_step(Trainer<SmallModel, SmallOptimiser>& trainer, SmallModel& model, const Prompts& batch) {
  try {
    trainer.step(model, batch, 41, {});
  } catch (const NonFiniteError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("training is the gradient of a batch, the transforms, and the sum, step by step") {
  const auto run = train_small(Pretrain{broad_task(), small_optimiser(), steps_of(3)});
  SmallModel model = small_model();
  const auto optimiser = small_optimiser();
  auto state = optimiser.init<float>(model.parameters().shared_layout());
  BatchGradient gradient(model);
  const Key key = small_start().stage_key();
  for (Index step = 0; step < 3; ++step) {
    const Prompts batch = broad_task().sample(key.fold("batch").fold(step), 9);
    gradient(model, batch, SquaredError{}, {});
    optimiser.update(gradient.gradient(), model.parameters(), step, state);
    model.parameters() += gradient.gradient();
  }
  CHECK(same_parameters(run.model().parameters(), model.parameters()));
}

TEST_CASE("training lowers the loss") {
  SmallModel model = small_model();
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(0.01)));
  const Prompts batch = narrow_task().sample(Key{4}, 16);
  const double before = trainer.step(model, batch, 0, {});
  double after = before;
  for (Index step = 1; step < 60; ++step) {
    after = trainer.step(model, batch, step, {});
  }
  // 16 prompts of one batch that is seen 60 times: Adam at 0.01 fits most of what is not noise.
  CHECK(after < 0.7 * before);
}

TEST_CASE("the loss and its weights are those of the settings") {
  TrainSettings settings = steps_of(1);
  const auto plain = train_small(Pretrain{broad_task(), rate(0.1), settings});
  settings.loss.weights = {1.0, 1.0, 1.0, 1.0};
  CHECK(same_run(train_small(Pretrain{broad_task(), rate(0.1), settings}), plain));
  settings.loss.weights = {0.0, 0.0, 0.0, 1.0};
  CHECK_FALSE(same_run(train_small(Pretrain{broad_task(), rate(0.1), settings}), plain));
  settings.loss.weights = {1.0};
  CHECK_THROWS_AS(train_small(Pretrain{broad_task(), rate(0.1), settings}), ConfigurationError);
}

TEST_CASE("a curriculum decides what each step sees") {
  struct Tokens {
    std::vector<Index> seen;
    void on_step(const TrainingState<float>& state) { seen.push_back(state.tokens_a_step / 9); }
  } tokens;
  TrainSettings settings = steps_of(5);
  settings.curriculum = {.dimension = {.start = 1, .increment = 1, .interval = 3},
                         .points = {.start = 2, .increment = 1, .interval = 2}};
  const auto run = run_stage(Pretrain{broad_task(), rate(0.1), settings}, small_start(), tokens);
  CHECK(tokens.seen == std::vector<Index>{3, 3, 5, 5, 7});  // 2 points - 1

  // In one dimension the weights that read the second coordinate get no gradient from inputs, and SGD leaves them.
  settings.steps = 3;
  const auto one_dimension = train_small(Pretrain{broad_task(), rate(0.1), settings});
  const SmallModel start_model = small_model();
  const auto read_in = one_dimension.model().parameters().view("read_in.weight");
  const auto read_in_before = start_model.parameters().view("read_in.weight");
  bool first_moved = false;
  bool second_moved = false;
  for (Index row = 0; row < read_in.rows; ++row) {
    for (Index column = 0; column < read_in.columns; ++column) {
      const bool moved = read_in(row, column) != read_in_before(row, column);
      (((read_in.rows == 2 ? row : column) == 0) ? first_moved : second_moved) |= moved;
    }
  }
  CHECK(first_moved);
  CHECK_FALSE(second_moved);
  CHECK_FALSE(same_parameters(run.model().parameters(), one_dimension.model().parameters()));
}

TEST_CASE("a curriculum is refused where the task cannot be restricted") {
  TrainSettings settings = steps_of(1);
  const Pretrain unrestricted{Breaking{}, rate(0.1), settings};
  CHECK_NOTHROW(static_cast<void>(train_small(unrestricted)));
  settings.curriculum.points.start = 2;
  const Pretrain restricted{Breaking{}, rate(0.1), settings};
  CHECK_THROWS_WITH_AS(static_cast<void>(train_small(restricted)),
                       "pretrain: a curriculum needs a task with extent() and restricted(), which this one has not",
                       ConfigurationError);
}

TEST_CASE("settings that make no sense are refused by stage and name") {
  const Pretrain negative{broad_task(), rate(0.1), {.steps = -1}, "first"};
  CHECK_THROWS_WITH_AS(static_cast<void>(train_small(negative)), "first: steps is -1, expected at least 0",
                       ConfigurationError);
  const Pretrain empty{broad_task(), rate(0.1), {.steps = 1, .batch = 0}};
  CHECK_THROWS_WITH_AS(static_cast<void>(train_small(empty)), "pretrain: batch is 0, expected at least 1",
                       ConfigurationError);
}

TEST_CASE("a model that does not fit the task is refused") {
  const LinearRegression wide{{.dimension = 3, .points = 4}};
  const Pretrain stage{wide, rate(0.1), steps_of(1)};
  CHECK_THROWS_AS(static_cast<void>(train_small(stage)), ShapeError);
}

TEST_CASE("a loss that is not finite names the step and leaves the model") {
  SmallModel model = small_model();
  Trainer trainer(model, small_optimiser());
  Prompts batch = broad_task().sample(Key{4}, 9);
  trainer.step(model, batch, 0, {});
  const SmallModel before = model;

  // The last label is predicted, but not read.
  batch.labels(3, 3) = std::numeric_limits<double>::infinity();
  CHECK(message_of_step(trainer, model, batch).find("step 41: the loss is inf") == 0);
  batch.labels(3, 3) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of_step(trainer, model, batch).find("step 41: the loss is") == 0);
  // A loss of 1e280 is finite, but its gradient is not a float.
  batch.labels(3, 3) = 1e140;
  CHECK(message_of_step(trainer, model, batch).find("step 41: the gradient is not finite") == 0);
  CHECK(same_parameters(model.parameters(), before.parameters()));
}

TEST_CASE("an update that is not finite names the step and leaves the model") {
  SmallModel model = small_model();
  const SmallModel before = model;
  Trainer trainer(model, chain(rate(1e38), rate(1e38)));
  const Prompts batch = broad_task().sample(Key{4}, 9);
  CHECK_THROWS_WITH_AS(trainer.step(model, batch, 5, {}),
                       "step 5: the update is not finite, though the gradient is. Lower the learning rate",
                       NonFiniteError);
  CHECK(same_parameters(model.parameters(), before.parameters()));
}

TEST_CASE("a stage stops at the step whose loss is not finite") {
  const Key broken = small_start().stage_key().fold("batch").fold(2);
  const Pretrain stage{Breaking{broad_task(), broken}, small_optimiser(), steps_of(5)};
  CHECK_THROWS_WITH_AS(static_cast<void>(train_small(stage)),
                       "step 2: the loss is inf. Lower the learning rate or clip the gradient", NonFiniteError);
}
