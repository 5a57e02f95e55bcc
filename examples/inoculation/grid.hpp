#pragma once
/// The grid: every setting, base model and arm. Finished cells are files of their own, so a grid that is stopped goes
/// on where it was, and portions of it can be run apart.

#include "cell.hpp"

#include <incontext/policy/checkpoint.hpp>
#include <incontext/report/number.hpp>
#include <incontext/report/progress.hpp>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

/// Prints how much of the grid is done. Cells are of different sizes, so work is counted in seconds that it was
/// expected to take, and the time left follows from how long what is done has taken.
class GridProgress {
 public:
  GridProgress(double expected_seconds, Index cells)
      : expected_(expected_seconds), cells_(cells), begin_(steady_seconds()) {}

  /// Some work ended, whichever thread it was on.
  void add(double expected_seconds, const std::string& what, bool is_cell) {
    const std::lock_guard lock(mutex_);
    done_ += expected_seconds;
    finished_ += is_cell ? 1 : 0;
    const double elapsed = steady_seconds() - begin_;
    if (elapsed - last_ < (on_terminal_ ? 0.1 : 10.0) && finished_ < cells_) {
      return;
    }
    last_ = elapsed;
    const double left = elapsed * (expected_ - done_) / done_;
    const std::string line =
        text(count_text(finished_), "/", count_text(cells_), " cells (", static_cast<Index>(100.0 * done_ / expected_),
             "%)  ", duration_text(left), " left  ", what);
    std::fprintf(stderr, on_terminal_ ? "\r%-100.100s" : "%s\n", line.c_str());
    if (on_terminal_ && finished_ == cells_) {
      std::fputc('\n', stderr);
    }
    std::fflush(stderr);
  }

 private:
  bool on_terminal_ = isatty(fileno(stderr)) != 0;
  std::mutex mutex_;
  double expected_ = 0.0;
  double done_ = 0.0;
  Index cells_ = 0;
  Index finished_ = 0;
  double begin_ = 0.0;
  double last_ = 0.0;
};

/// Seconds that things are expected to take, from a few tries.
struct Costs {
  double base = 0.0;        ///< pretraining of a base model, on all threads
  double step = 0.0;        ///< of fine-tuning, on one
  double evaluation = 0.0;  ///< of one prompt at one place, on one
  Index threads = 1;

  /// Of a cell, where cells share the threads.
  [[nodiscard]] double cell(const Options& options, const Setting& setting, const Arm& arm) const {
    const auto places = static_cast<double>(setting.places.size());
    const bool is_base = arm.data == Data::no_training;
    const double prompts = arm.patches           ? 12.0
                           : is_base             ? 19.0
                           : arm.follows_steps   ? 8.0
                           : arm.study == "main" ? 8.0
                                                 : 3.0;
    const Index steps = is_base ? 0 : arm.follows_steps ? steps_followed(options).back() : options.fine_tune_steps;
    return (static_cast<double>(steps) * step + prompts * places * evaluation) / static_cast<double>(threads);
  }
};

/// The file of a cell, below the output folder.
inline std::filesystem::path cell_path(const Options& options, const Setting& setting, const Cell& cell) {
  std::string name = text(cell.arm.study, "-", cell.arm.name, "-", cell.instance, ".csv");
  std::replace(name.begin(), name.end(), ' ', '-');
  return options.output / "cells" / setting.name / text("base-", cell.base_seed, "-seed-", cell.seed) / name;
}

/// What must be the same for cells to belong together.
inline std::string grid_description(const Options& options) {
  return text("styles ", options.styles, ", width ", options.width, ", layers ", options.layers, ", heads ",
              options.heads, ", steps ", options.steps, ", batch ", options.batch, ", learning rate ",
              shortest_text(options.learning_rate), ", fine-tuning steps ", options.fine_tune_steps,
              ", fine-tuning rate ", shortest_text(options.fine_tune_rate), ", examples ", options.examples, "\n");
}

/// Whose cells these are: written into a new folder, and held against what an old one says.
/// \throws FileError if the folder has cells of another grid
inline void check_grid(const Options& options) {
  const std::filesystem::path path = options.output / "grid.txt";
  const std::string description = grid_description(options);
  if (options.resume && std::filesystem::exists(path)) {
    std::ifstream stream(path);
    const std::string found{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    require<FileError>(found == description, "--output ", options.output.string(), " holds cells of another grid (",
                       found.substr(0, found.find('\n')), "), expected ",
                       description.substr(0, description.size() - 1));
  }
  write_atomically(path, description);
}

/// The cells of one base model, in the order in which they are run.
inline std::vector<Cell> cells_of(const Options& options, const Setting& setting, Index base_seed) {
  std::vector<Cell> cells;
  for (Index seed = 0; seed < options.fine_tune_seeds; ++seed) {
    for (const Arm& arm : arms_of(options, setting)) {
      for (Index instance = 0; instance < arm.instances; ++instance) {
        cells.push_back({base_seed, seed, arm, instance});
      }
    }
  }
  return cells;
}

/// One base model's part of the grid.
struct Portion {
  Setting setting;
  Index base_seed = 0;
};

/// The portions of this shard.
inline std::vector<Portion> portions_of(const Options& options) {
  std::vector<Portion> portions;
  Index number = 0;
  for (Index seed = 0; seed < options.seeds; ++seed) {
    for (const Setting& setting : settings_of(options)) {
      if (number++ % options.shards == options.shard) {
        portions.push_back({setting, options.first_seed + seed});
      }
    }
  }
  return portions;
}

/// Runs the cells of a portion that are not there yet. Pretraining has all threads; then cells share them.
template <TraitMedium Medium, class TaskSettings>
void run_portion(const Options& options, const Portion& portion, const TaskSettings& task, const Costs& costs,
                 ExecutorReference executor, GridProgress& progress) {
  std::vector<Cell> missing;
  for (Cell& cell : cells_of(options, portion.setting, portion.base_seed)) {
    if (!(options.resume && std::filesystem::exists(cell_path(options, portion.setting, cell)))) {
      missing.push_back(std::move(cell));
    }
  }
  if (missing.empty()) {
    return;
  }
  const World<Medium> world(options, portion.setting, task);
  const std::string name = text(portion.setting.name, ", base ", portion.base_seed);
  Checkpoint checkpoint{{.folder = options.output / "bases" / text(portion.setting.name, "-", portion.base_seed),
                         .every = 1000,
                         .resume = options.resume}};
  struct {
    const Costs& costs;
    const std::string& name;
    GridProgress& progress;
    void on_step(const TrainingState<float>& state) {
      const auto steps = static_cast<double>(state.steps);
      progress.add(costs.base / steps, text(name, ": pretraining, step ", count_text(state.step)), false);
    }
  } watch{costs, name, progress};
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
Costs costs_of(const Options& options, const Setting& setting, const TaskSettings& task, ExecutorReference executor) {
  const World<Medium> world(options, setting, task);
  Model model = world.initial_model(Key(0));
  const auto data = world.training_task();
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(1e-6)), LossOf<BatchOf<Medium>>{});
  const auto seconds_of = [](const auto& work) {
    std::vector<double> seconds;
    for (Index number = 0; number < 6; ++number) {
      const double begin = steady_seconds();
      work(number);
      seconds.push_back(steady_seconds() - begin);
    }
    std::sort(seconds.begin() + 1, seconds.end());  // the first allocates
    return seconds[3];
  };
  const auto step = [&](Index number, ExecutorReference its_executor) {
    trainer.step(model, data.sample(Key(0).fold(number), options.batch), number, its_executor);
  };
  Costs costs;
  costs.threads = executor.workers();
  costs.base = static_cast<double>(options.steps) * seconds_of([&](Index number) { step(number, executor); });
  costs.step = seconds_of([&](Index number) { step(number, {}); });
  const auto questions = data.sample(Key(0), options.examples);
  costs.evaluation = seconds_of([&](Index) { static_cast<void>(model.predict(questions)); });
  return costs;
}

/// Runs what this shard has to, after saying how long it will take. \throws FileError if a file cannot be written
void run_grid(const Options& options);

}  // namespace inoculation
