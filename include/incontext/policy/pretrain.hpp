#pragma once
/// \file
/// Pretraining: model -> model, on a task distribution.

#include "incontext/policy/stage.hpp"
#include "incontext/policy/train.hpp"

#include <string>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Trains the run's model on fresh prompts of `task`.
template <class Kind, class Optimiser>
class Pretrain : public Stage {
  static_assert(Task<Kind>,
                "the first argument of Pretrain is not a Task: it has no `Prompts sample(Key, Index) const`");
  static_assert(
      GradientTransform<Optimiser>,
      "the second argument of Pretrain is not a GradientTransform, as adam() or chain(adam(), rate(1e-3)) is");

 public:
  Pretrain(Kind task, Optimiser optimiser, TrainSettings settings, std::string name = "pretrain")
      : task_(std::move(task)),
        optimiser_(std::move(optimiser)),
        settings_(std::move(settings)),
        name_(std::move(name)) {}

  /// \throws NonFiniteError that names the step, if loss or gradient is not finite
  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&... observers) const {
    return train(std::move(run), name_, task_, optimiser_, settings_, observers...);
  }

 private:
  Kind task_;
  Optimiser optimiser_;
  TrainSettings settings_;
  std::string name_;
};

INCONTEXT_NAMESPACE_END
