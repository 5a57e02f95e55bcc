#pragma once
/// Runs a portion of the grid in either medium: words.cpp and regression.cpp make functions of these templates.

#include "grid.hpp"
#include "world.hpp"

#include <incontext/policy/checkpoint.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

/// Runs the cells of a portion that are not there yet.
template <TraitMedium Medium, class TaskSettings>
void run_portion_of(const Options& options, const Portion& portion, const TaskSettings& task, const Costs& costs,
                    ExecutorReference executor, GridProgress& progress) {
  const std::vector<Cell> missing = missing_cells(options, portion);
  if (missing.empty()) {
    return;
  }
  const World<Medium> world(options, portion.setting, task);
  const std::string name = text(portion.setting.name, ", base ", portion.base_seed);
  Checkpoint checkpoint{{.folder = options.output / "bases" / text(portion.setting.name, "-", portion.base_seed),
                         .every = 1000,
                         .resume = options.resume}};
  struct {
    double step;
    const std::string& name;
    GridProgress& progress;
    void on_step(const TrainingState<float>& state) {
      progress.add(step, text(name, ": pretraining, step ", count_text(state.step)), false);
    }
  } watch{costs.step, name, progress};
  const Model base = world.pretrained(portion.base_seed, executor, watch, checkpoint);
  executor.run(static_cast<Index>(missing.size()), [&](Index number) {
    const Cell& cell = missing[static_cast<std::size_t>(number)];
    const std::filesystem::path path = cell_path(options, portion.setting, cell);
    const std::vector<Row> rows = world.run(base, cell, executor);
    std::filesystem::create_directories(path.parent_path());
    write_rows(path, rows);
    progress.add(costs.cell(options, portion.setting, cell.arm), name + ": " + cell.arm.name, true);
  });
}

/// Tries a few steps and evaluations of a throwaway model.
template <TraitMedium Medium, class TaskSettings>
Costs tried_costs(const Options& options, const Setting& setting, const TaskSettings& task,
                  ExecutorReference executor) {
  const World<Medium> world(options, setting, task);
  Model model = world.initial_model(Key(0));
  const auto data = world.training_task();
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(1e-6)), LossOf<BatchOf<Medium>>{});
  const auto seconds_of = [&](const auto& work) {
    std::vector<double> seconds;
    for (Index number = 0; number < 6; ++number) {
      const double begin = steady_seconds();
      work(number);
      seconds.push_back(steady_seconds() - begin);
    }
    std::sort(seconds.begin() + 1, seconds.end());  // the first allocates
    return seconds[3] / static_cast<double>(executor.workers());
  };
  Costs costs;
  costs.step = seconds_of(
      [&](Index number) { trainer.step(model, data.sample(Key(0).fold(number), options.batch), number, {}); });
  const auto questions = data.sample(Key(0), options.examples);
  costs.evaluation = seconds_of([&](Index) { static_cast<void>(model.predict(questions)); });
  return costs;
}

}  // namespace inoculation
