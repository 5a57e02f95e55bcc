#pragma once
/// \file
/// Pretraining: model -> model, on a task distribution.

#include "incontext/policy/train.hpp"

#include <string>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Trains the run's model on fresh prompts of `task`.
template <class Kind, class Optimiser>
class Pretrain : public TrainingStage<Kind, Optimiser> {
  static_assert(Task<Kind>,
                "the first argument of Pretrain is not a Task: it has no `sample(Key, Index) const` that returns "
                "Prompts or a TokenBatch");
  static_assert(
      GradientTransform<Optimiser>,
      "the second argument of Pretrain is not a GradientTransform, as adam() or chain(adam(), rate(1e-3)) is");

 public:
  Pretrain(Kind task, Optimiser optimiser, TrainSettingsOf<Kind> settings, std::string name = "pretrain")
      : TrainingStage<Kind, Optimiser>(std::move(task), std::move(optimiser), std::move(settings), std::move(name)) {}
};

INCONTEXT_NAMESPACE_END
