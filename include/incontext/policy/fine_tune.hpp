#pragma once
/// \file
/// Fine-tuning: model -> model, on another task distribution, with a fresh optimiser.

#include "incontext/policy/train.hpp"

#include <string>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Trains the run's model further on `task`. The optimiser starts anew: its moments and its schedule know nothing of
/// pretraining. `settings.freeze` names parameters that stay. To rehearse earlier tasks meanwhile, mix them in:
/// `FineTune{mix(narrow, 0.1, broad), ...}`.
template <class Kind, class Optimiser>
class FineTune : public TrainingStage<Kind, Optimiser> {
  static_assert(Task<Kind>,
                "the first argument of FineTune is not a Task: it has no `sample(Key, Index) const` that returns "
                "Prompts or a TokenBatch");
  static_assert(
      GradientTransform<Optimiser>,
      "the second argument of FineTune is not a GradientTransform, as adam() or chain(adam(), rate(1e-3)) is");

 public:
  FineTune(Kind task, Optimiser optimiser, TrainSettingsOf<Kind> settings = {.steps = 400},
           std::string name = "fine-tune")
      : TrainingStage<Kind, Optimiser>(std::move(task), std::move(optimiser), std::move(settings), std::move(name)) {}
};

INCONTEXT_NAMESPACE_END
