#include "portion.hpp"

namespace inoculation {

Costs costs_of(const Options& options, const Setting& setting, const WordTask::Settings& task,
               ExecutorReference executor) {
  return tried_costs<WordTask>(options, setting, task, executor);
}

void run_portion(const Options& options, const Portion& portion, const WordTask::Settings& task, const Costs& costs,
                 ExecutorReference executor, GridProgress& progress) {
  run_portion_of<WordTask>(options, portion, task, costs, executor, progress);
}

}  // namespace inoculation
