#pragma once
/// How far a long pretraining has come: the model beside the closed forms, every so many steps of it.

#include "learning_table.hpp"
#include "model.hpp"

#include <incontext/incontext.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace forgetting {

using namespace incontext;

/// An observer that evaluates the model on D_mix in the midst of pretraining, at the extent that the curriculum has
/// reached and at the full one, beside ridge, pool posterior and mixture posterior. It keeps `learning.csv`,
/// `learning.md` and a figure in its folder up to date, so they are there whenever the run is stopped.
template <class Distributions>
class LearningCurve {
 public:
  struct Schedule {
    std::filesystem::path folder;
    std::string command;
    Index every = 0;  ///< steps; 0 for no evaluation
    Index prompts = 256;
    Curriculum curriculum;
    double full_step_seconds = 0.0;  ///< of a step on full prompts, for the projection
  };

  LearningCurve(Schedule schedule, Model model, const Distributions& distributions, Key key, ExecutorReference executor)
      : schedule_(std::move(schedule)),
        model_(std::move(model)),
        distributions_(distributions),
        key_(key.fold("learning curve")),
        executor_(executor) {}

  template <class Scalar>
  void on_begin(TrainingState<Scalar>& state) {
    if (schedule_.every > 0) {
      seconds_ = &state.memory.try_emplace("learning_curve.seconds", 0.0).first->second;
      rows_ = read_learning(schedule_.folder, state.step);
      last_ = steady_seconds();
    }
  }

  template <class Scalar>
  void on_step(const TrainingState<Scalar>& state) {
    if (schedule_.every == 0) {
      return;
    }
    *seconds_ += steady_seconds() - last_;
    if (state.step % schedule_.every == 0 || state.step == state.steps) {
      const auto& parameters = *state.buffers.front().second;
      std::copy(parameters.values().begin(), parameters.values().end(), model_.parameters().values().begin());
      const Extent full = distributions_.mixture.extent();
      const Extent reached = schedule_.curriculum.at(state.step - 1, full);
      measure(state.step, reached);
      if (reached != full) {
        measure(state.step, full);
      }
      write_learning(schedule_.folder,
                     {schedule_.command, full, schedule_.prompts, executor_.workers(), schedule_.full_step_seconds},
                     rows_, state.step, state.steps);
    }
    last_ = steady_seconds();  // evaluation is not training
  }

 private:
  /// The prompts of one extent, and what the closed forms make of them.
  struct Reference {
    Prompts prompts;
    std::vector<std::pair<std::string, double>> errors;
  };

  static double mean_error(const Predictions& predictions, const Prompts& prompts) {
    return squared_error(predictions, prompts.targets).mean();
  }

  const Reference& reference_of(Extent extent) {
    const auto [place, is_new] = references_.try_emplace({extent.dimension, extent.points});
    if (is_new) {
      Reference& reference = place->second;
      reference.prompts = distributions_.mixture.restricted(extent).sample(key_, schedule_.prompts);
      const auto add = [&](const char* name, const auto& predictor) {
        const Predictions predictions = predict_in_shards(predictor, reference.prompts, executor_);
        reference.errors.emplace_back(name, mean_error(predictions, reference.prompts));
      };
      add("ridge", distributions_.ridge);
      add("pool_posterior", distributions_.pool_posterior);
      add("mixture_posterior", distributions_.mixture_posterior);
    }
    return place->second;
  }

  void measure(Index step, Extent extent) {
    const Reference& reference = reference_of(extent);
    const double error = mean_error(model_.predict(reference.prompts, executor_), reference.prompts);
    rows_.push_back({step, *seconds_, extent, "transformer", error});
    for (const auto& [name, its_error] : reference.errors) {
      rows_.push_back({step, *seconds_, extent, name, its_error});
    }
  }

  Schedule schedule_;
  Model model_;
  const Distributions& distributions_;
  Key key_;
  ExecutorReference executor_;
  std::map<std::pair<Index, Index>, Reference> references_;
  std::vector<LearningRow> rows_;
  double* seconds_ = nullptr;  // in the state's memory, so that a checkpoint keeps it
  double last_ = 0.0;
};

}  // namespace forgetting
