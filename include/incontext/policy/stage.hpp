#pragma once
/// \file
/// Stages of a study, and their composition: `stage | stage`, and a call to run them.

#include "incontext/core/config.hpp"
#include "incontext/map/map.hpp"
#include "incontext/policy/run.hpp"
#include "incontext/predictor/predictor.hpp"
#include "incontext/task/task.hpp"

#include <concepts>
#include <type_traits>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// The mark of a stage: derive from it and give `apply(run, observers...)`, which returns the run after the stage.
struct Stage {};

/// A map from runs to runs: Pretrain, FineTune, ConjugatePrompt, Evaluate, fork, and sequences of them.
template <class Type>
concept StudyStage = std::derived_from<std::remove_cvref_t<Type>, Stage>;

/// One stage after the other. Calling it runs them: `study(start(model, key), observers...)`.
template <StudyStage First, StudyStage Second>
class Sequence : public Stage {
 public:
  Sequence(First first, Second second) : first_(std::move(first)), second_(std::move(second)) {}

  template <StudyRun Run, class... Observers>
  [[nodiscard]] auto apply(Run run, Observers&... observers) const {
    return second_.apply(first_.apply(std::move(run), observers...), observers...);
  }

  template <StudyRun Run, class... Observers>
  [[nodiscard]] auto operator()(Run run, Observers&&... observers) const {
    return apply(std::move(run), observers...);
  }

 private:
  First first_;
  Second second_;
};

/// Runs one stage, as a sequence is run.
template <StudyStage Only, StudyRun Run, class... Observers>
[[nodiscard]] auto run_stage(const Only& stage, Run run, Observers&&... observers) {
  return stage.apply(std::move(run), observers...);
}

/// First `first`, then `second`.
template <StudyStage First, StudyStage Second>
[[nodiscard]] Sequence<First, Second> operator|(First first, Second second) {
  return Sequence<First, Second>(std::move(first), std::move(second));
}

/// Not a study: says what is missing.
template <class First, StudyStage Second>
requires(!StudyStage<First> && (Task<First> || PromptMap<First> || Predictor<First>)) const Second& operator|(
    const First&, const Second& second) {
  static_assert(StudyStage<First>,
                "only a stage goes in front of a stage. Hand a task to Pretrain or FineTune, a model to start(), and "
                "make a stage of a map by ConjugatePrompt");
  return second;
}

/// Not a study: says what is missing.
template <StudyStage First, class Second>
requires(!StudyStage<Second> && (Task<Second> || PromptMap<Second> || Predictor<Second>)) const First& operator|(
    const First& first, const Second&) {
  static_assert(StudyStage<Second>,
                "only a stage goes behind a stage. Hand a task to Pretrain or FineTune, and make a stage of a map by "
                "ConjugatePrompt");
  return first;
}

INCONTEXT_NAMESPACE_END
