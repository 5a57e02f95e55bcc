#include "portion.hpp"

namespace inoculation {

Costs costs_of(const Options& options, const Setting& setting, const TraitRegression::Settings& task,
               ExecutorReference executor) {
  return tried_costs<TraitRegression>(options, setting, task, executor);
}

void run_portion(const Options& options, const Portion& portion, const TraitRegression::Settings& task,
                 const Costs& costs, ExecutorReference executor, GridProgress& progress) {
  run_portion_of<TraitRegression>(options, portion, task, costs, executor, progress);
}

}  // namespace inoculation
