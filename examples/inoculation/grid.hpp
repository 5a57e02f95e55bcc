#pragma once
/// The grid: every setting, base model and arm. Finished cells are files of their own, so a grid that is stopped goes
/// on where it was, and portions of it can be run apart.

#include "progress.hpp"

#include <incontext/core/executor.hpp>

namespace inoculation {

/// What things cost in a setting of words or of regression, from a few steps and evaluations of a throwaway model.
Costs costs_of(const Options& options, const Setting& setting, const WordTask::Settings& task,
               ExecutorReference executor);
Costs costs_of(const Options& options, const Setting& setting, const TraitRegression::Settings& task,
               ExecutorReference executor);

/// Runs the cells of a portion that are not there yet. \throws FileError if a file cannot be written
void run_portion(const Options& options, const Portion& portion, const WordTask::Settings& task, const Costs& costs,
                 ExecutorReference executor, GridProgress& progress);
void run_portion(const Options& options, const Portion& portion, const TraitRegression::Settings& task,
                 const Costs& costs, ExecutorReference executor, GridProgress& progress);

/// Runs what this shard has to, after saying how long it will take. \throws FileError if a file cannot be written
void run_grid(const Options& options);

}  // namespace inoculation
