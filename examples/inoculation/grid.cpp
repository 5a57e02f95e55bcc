#include "grid.hpp"

namespace inoculation {

namespace {

/// Calls `function.operator()<Medium>(settings of the task)` for the medium of a setting.
template <class Function>
auto with_medium(const Setting& setting, const Function& function) {
  if (const auto* words = std::get_if<WordTask::Settings>(&setting.task)) {
    return function.template operator()<WordTask>(*words);
  }
  return function.template operator()<TraitRegression>(std::get<TraitRegression::Settings>(setting.task));
}

}  // namespace

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
    costs.push_back(number < static_cast<std::ptrdiff_t>(costs.size())
                        ? costs[static_cast<std::size_t>(number)]
                        : with_medium(portion.setting, [&]<class Medium>(const auto& task) {
                            return costs_of<Medium>(options, portion.setting, task, executor);
                          }));
  }
  double seconds = 0.0;
  Index cells = 0;
  for (std::size_t number = 0; number < portions.size(); ++number) {
    Index missing = 0;
    for (const Cell& cell : cells_of(options, portions[number].setting, portions[number].base_seed)) {
      if (!(options.resume && std::filesystem::exists(cell_path(options, portions[number].setting, cell)))) {
        seconds += costs[number].cell(options, portions[number].setting, cell.arm);
        ++missing;
      }
    }
    seconds += missing > 0 ? costs[number].base : 0.0;
    cells += missing;
  }
  std::fprintf(stderr, "inoculation, preset %s: %s base models and %s cells to run, which will take about %s on %s\n",
               options.preset.c_str(), count_text(static_cast<Index>(portions.size())).c_str(),
               count_text(cells).c_str(), duration_text(seconds).c_str(),
               text(options.threads, options.threads == 1 ? " thread" : " threads").c_str());
  GridProgress progress(seconds, cells);
  for (std::size_t number = 0; number < portions.size(); ++number) {
    with_medium(portions[number].setting, [&]<class Medium>(const auto& task) {
      run_portion<Medium>(options, portions[number], task, costs[number], executor, progress);
    });
  }
}

}  // namespace inoculation
