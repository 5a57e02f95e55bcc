#pragma once
/// \file
/// The observer behind the progress line: stage, step, loss, tokens a second, time left.

#include "incontext/policy/observer.hpp"
#include "incontext/report/progress.hpp"

#include <string>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Shows training stages on a `Progress`. `label` goes in front of the stage's name: "seed 3".
class ProgressLine {
 public:
  explicit ProgressLine(ProgressSettings settings = {}, std::string label = "")
      : progress_(std::move(settings)), label_(std::move(label)) {}

  void set_label(std::string label) { label_ = std::move(label); }

  template <class Scalar>
  void on_begin(const TrainingState<Scalar>& state) {
    tokens_ = 0;
    name_ = label_.empty() ? state.stage : label_ + " " + state.stage;
  }
  template <class Scalar>
  void on_step(const TrainingState<Scalar>& state) {
    tokens_ += state.tokens_a_step;
    progress_.update(name_, state.step, state.steps, state.loss, tokens_);
  }
  template <class Scalar>
  void on_end(const TrainingState<Scalar>&) {
    progress_.finish();
  }

 private:
  Progress progress_;
  std::string label_;
  std::string name_;
  Index tokens_ = 0;
};

INCONTEXT_NAMESPACE_END
