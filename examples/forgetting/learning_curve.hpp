#pragma once
/// How far a long pretraining has come: the model beside the closed forms, every so many steps of it.

#include "../shared/table_file.hpp"
#include "settings.hpp"

#include <incontext/incontext.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace forgetting {

using namespace incontext;

/// The squared errors of several predictors on prompts of one extent, after `step` steps.
struct LearningRow {
  Index step = 0;
  double seconds = 0.0;  ///< of training until then
  Extent extent;         ///< of the evaluation prompts: the curriculum's at this step, or all of them
  std::string predictor;
  double error = 0.0;  ///< against the noiseless target, mean over prompts and numbers of exemplars
};

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

  LearningCurve(Schedule schedule, Transformer<float> model, const Distributions& distributions, Key key,
                ExecutorReference executor)
      : schedule_(std::move(schedule)),
        model_(std::move(model)),
        distributions_(distributions),
        key_(key.fold("learning curve")),
        executor_(executor) {}

  template <class Scalar>
  void on_begin(TrainingState<Scalar>& state) {
    if (schedule_.every > 0) {
      seconds_ = &state.memory.try_emplace("learning_curve.seconds", 0.0).first->second;
      rows_ = read_rows(state.step);
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
      write(state.step, state.steps);
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

  /// The rows of an earlier part of the run.
  [[nodiscard]] std::vector<LearningRow> read_rows(Index until) const {
    const std::filesystem::path path = schedule_.folder / "learning.csv";
    std::vector<LearningRow> rows;
    if (until == 0 || !std::filesystem::exists(path)) {
      return rows;
    }
    for (const CsvRow& row : studies::read_table(path, 6)) {
      const auto whole = [&](std::size_t field) { return static_cast<Index>(std::stoll(row.fields[field])); };
      if (whole(0) <= until) {
        rows.push_back(
            {whole(0), std::stod(row.fields[1]), {whole(2), whole(3)}, row.fields[4], std::stod(row.fields[5])});
      }
    }
    return rows;
  }

  void write(Index step, Index steps) const {
    std::ostringstream table;
    CsvWriter writer(table, {"step", "seconds", "dimension", "points", "predictor", "squared_error_target"});
    for (const LearningRow& row : rows_) {
      writer.row(row.step, row.seconds, row.extent.dimension, row.extent.points, row.predictor, row.error);
    }
    write_atomically(schedule_.folder / "learning.csv", table.str());
    write_atomically(schedule_.folder / "learning.md", summary(step, steps));
    static_cast<void>(write_figure(figure(), schedule_.folder / "learning"));
  }

  [[nodiscard]] std::string summary(Index step, Index steps) const {
    MarkdownTable errors({"dimension", "points", "predictor", "squared error"});
    for (const LearningRow& row : rows_) {
      if (row.step == step) {
        errors.row(row.extent.dimension, row.extent.points, row.predictor, row.error);
      }
    }
    const std::string rest = text("; at that rate the other ", steps - step, " steps take ",
                                  duration_text(schedule_.full_step_seconds * static_cast<double>(steps - step)));
    return text("# Pretraining so far: ", step, " of ", steps, " steps\n\n`", schedule_.command, "`\n\n",
                duration_text(*seconds_), " of training on ", executor_.workers(),
                executor_.workers() == 1 ? " thread" : " threads", ". A step on full prompts took ",
                significant_text(schedule_.full_step_seconds), " s when the run began", step < steps ? rest : "",
                ".\n\nOn D_mix, at the extent that the curriculum has reached and at the full one; against the "
                "noiseless target, mean over numbers of exemplars, ",
                schedule_.prompts, " prompts that are the same throughout:\n\n", errors.markdown());
  }

  [[nodiscard]] Figure figure() const {
    const Extent full = distributions_.mixture.extent();
    Figure figure{.title = "Pretraining: the model and the Bayes-optimal predictors on D_mix",
                  .x_axis = {.label = "training step"},
                  .y_axis = {.label = "squared error against the noiseless target", .minimum = 0.0},
                  .share_y = false};
    const auto panel = [&](std::string title, const auto& belongs) {
      const auto curve = [&](const std::string& name, const std::string& predictor, SeriesStyle style) {
        Series series{.name = name, .style = style};
        for (const LearningRow& row : rows_) {
          if (row.predictor == predictor && belongs(row)) {
            series.x.push_back(static_cast<double>(row.step));
            series.y.push_back(row.error);
          }
        }
        return series;
      };
      figure.panels.push_back({.title = std::move(title),
                               .series = {curve("transformer", "transformer", SeriesStyle::line),
                                          curve("ridge", "ridge", SeriesStyle::dashed),
                                          curve("pool posterior", "pool_posterior", SeriesStyle::dashed),
                                          curve("mixture posterior", "mixture_posterior", SeriesStyle::dashed)}});
    };
    // Of the rows of one step, the first is at the curriculum's extent.
    std::map<Index, Extent> reached;
    for (const LearningRow& row : rows_) {
      reached.try_emplace(row.step, row.extent);
    }
    panel("as far as the curriculum", [&](const LearningRow& row) { return row.extent == reached.at(row.step); });
    panel("full prompts", [&](const LearningRow& row) { return row.extent == full; });
    return figure;
  }

  Schedule schedule_;
  Transformer<float> model_;
  const Distributions& distributions_;
  Key key_;
  ExecutorReference executor_;
  std::map<std::pair<Index, Index>, Reference> references_;
  std::vector<LearningRow> rows_;
  double* seconds_ = nullptr;  // in the state's memory, so that a checkpoint keeps it
  double last_ = 0.0;
};

}  // namespace forgetting
