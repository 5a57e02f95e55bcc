#include "grid.hpp"

#include <algorithm>
#include <variant>

namespace inoculation {

void run_grid(const Options& options) {
  check_grid(options);
  ThreadExecutor executor(options.threads);
  const std::vector<Portion> portions = portions_of(options);

  // Settings of one medium cost about the same: the first of each is tried.
  std::vector<Costs> costs;
  for (const Portion& portion : portions) {
    const auto known = std::find_if(portions.begin(), portions.begin() + static_cast<std::ptrdiff_t>(costs.size()),
                                    [&](const Portion& other) { return other.setting.name == portion.setting.name; });
    const auto number = known - portions.begin();
    costs.push_back(
        number < static_cast<std::ptrdiff_t>(costs.size())
            ? costs[static_cast<std::size_t>(number)]
            : std::visit([&](const auto& task) { return costs_of(options, portion.setting, task, executor); },
                         portion.setting.task));
  }
  double seconds = 0.0;
  Index cells = 0;
  for (std::size_t number = 0; number < portions.size(); ++number) {
    const std::vector<Cell> missing = missing_cells(options, portions[number]);
    for (const Cell& cell : missing) {
      seconds += costs[number].cell(options, portions[number].setting, cell.arm);
    }
    seconds += missing.empty() ? 0.0 : costs[number].base(options);
    cells += static_cast<Index>(missing.size());
  }
  std::fprintf(stderr, "inoculation, preset %s: %s base models and %s cells to run, which will take about %s on %s\n",
               options.preset.c_str(), count_text(static_cast<Index>(portions.size())).c_str(),
               count_text(cells).c_str(), duration_text(seconds).c_str(),
               text(options.threads, options.threads == 1 ? " thread" : " threads").c_str());
  GridProgress progress(seconds, cells);
  const auto run = [&](Index index) {
    const auto number = static_cast<std::size_t>(index);
    std::visit(
        [&](const auto& task) { run_portion(options, portions[number], task, costs[number], executor, progress); },
        portions[number].setting.task);
  };
  // Threads that have a portion each need not wait for each other in every step. What is left when they no longer
  // have one each shares all threads: shards of a batch in pretraining, then cells.
  const auto count = static_cast<Index>(portions.size());
  const Index together = count / options.threads * options.threads;
  executor.run(together, run);
  for (Index number = together; number < count; ++number) {
    run(number);
  }
}

}  // namespace inoculation
