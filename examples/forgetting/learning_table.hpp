#pragma once
/// What an evaluation in the midst of pretraining leaves: a table, a summary and a figure, kept up to date.

#include <incontext/task/curriculum.hpp>

#include <filesystem>
#include <string>
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

/// What stands above the numbers.
struct LearningHeading {
  std::string command;             ///< as it was typed
  Extent full;                     ///< of all prompts
  Index prompts = 0;               ///< in every evaluation
  Index workers = 1;               ///< threads that train
  double full_step_seconds = 0.0;  ///< of a step on full prompts, for the projection
};

/// The rows up to step `until` of an earlier part of the run, from `learning.csv` in the folder. \throws FileError
std::vector<LearningRow> read_learning(const std::filesystem::path& folder, Index until);

/// Writes `learning.csv`, `learning.md` and a figure to the folder, `step` of `steps` being done. \throws FileError
void write_learning(const std::filesystem::path& folder, const LearningHeading& heading,
                    const std::vector<LearningRow>& rows, Index step, Index steps);

}  // namespace forgetting
