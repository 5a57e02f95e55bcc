#pragma once
/// One seed of the forgetting study: what is trained, and everything that is measured of it.

#include "results.hpp"
#include "settings.hpp"

#include <incontext/core/executor.hpp>
#include <incontext/policy/progress_line.hpp>

#include <cstdint>
#include <string>

namespace forgetting {

/// Where a study runs, and what it tells about itself.
struct Surroundings {
  ExecutorReference executor;
  ProgressLine& progress;
  std::string command;        ///< as it was typed
  double step_seconds = 0.0;  ///< of a step on full prompts
};

/// Trains and measures one seed at one mixture weight. At alpha 0 and 1 there is one distribution, nothing to forget,
/// and only the pretrained model is measured.
void run_study(const Settings& settings, std::uint64_t seed, double alpha, const Surroundings& surroundings,
               Results& results);

/// What training will take.
struct Projection {
  double step_seconds = 0.0;   ///< of a step on full prompts
  double seconds = 0.0;        ///< for one seed
  double workspace_mib = 0.0;  ///< scratch memory of a step at the most, all threads
  double gradient_mib = 0.0;   ///< memory of gradients
};

/// Time from a few steps of a throwaway model, their median; memory from what its gradient says.
Projection projected(const Settings& settings, ExecutorReference executor);

}  // namespace forgetting
