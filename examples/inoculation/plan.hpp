#pragma once
/// What there is to run: portions of the grid, their cells, and the files that finished cells are.

#include "options.hpp"

#include <incontext/io/atomic_file.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

/// Which cell: a base model, a fine-tuning run, an arm and one draw of its prompts.
struct Cell {
  Index base_seed = 0;
  Index seed = 0;
  Arm arm;
  Index instance = 0;
};

/// One base model's part of the grid.
struct Portion {
  Setting setting;
  Index base_seed = 0;
};

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

/// After how many steps an arm that follows them is measured: from a twentieth of the study's to four times as many.
inline std::vector<Index> steps_followed(const Options& options) {
  std::vector<Index> steps;
  for (const double share : {0.05, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0}) {
    const auto step = static_cast<Index>(std::llround(share * static_cast<double>(options.fine_tune_steps)));
    if (step > (steps.empty() ? 0 : steps.back())) {
      steps.push_back(step);
    }
  }
  return steps;
}

/// The file of a cell, below the output folder.
inline std::filesystem::path cell_path(const Options& options, const Setting& setting, const Cell& cell) {
  std::string name = text(cell.arm.study, "-", cell.arm.name, "-", cell.instance, ".csv");
  std::replace(name.begin(), name.end(), ' ', '-');
  return options.output / "cells" / setting.name / text("base-", cell.base_seed, "-seed-", cell.seed) / name;
}

/// The cells of a portion that are still to run: all, or on resumption those without a file.
inline std::vector<Cell> missing_cells(const Options& options, const Portion& portion) {
  std::vector<Cell> cells = cells_of(options, portion.setting, portion.base_seed);
  std::erase_if(cells, [&](const Cell& cell) {
    return options.resume && std::filesystem::exists(cell_path(options, portion.setting, cell));
  });
  return cells;
}

/// What must be the same for cells to belong together.
inline std::string grid_description(const Options& options) {
  return text("styles ", options.styles, ", width ", options.width, ", layers ", options.layers, ", heads ",
              options.heads, ", precision ", options.precision, ", steps ", options.steps, ", batch ", options.batch,
              ", learning rate ", shortest_text(options.learning_rate), ", fine-tuning steps ", options.fine_tune_steps,
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

}  // namespace inoculation
