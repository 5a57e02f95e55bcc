#pragma once
/// One seed of the translation study: what is trained, and everything that is measured of it.

#include "settings.hpp"
#include "table.hpp"

#include <incontext/core/executor.hpp>
#include <incontext/policy/progress_line.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace translation {

/// How forgetting depends on the number of words that a prompt has in common with language 1, in one language.
struct SharedWords {
  std::uint64_t seed = 0;
  std::string stage{};
  double language = 0.0;
  Index shared_words = 0;           ///< of the prompt's words, the query included
  Index prompts = 0;                ///< that have so many
  double probability_before = 0.0;  ///< of the exemplars' answer, mean over these prompts, pretrained
  double probability_after = 0.0;   ///< the same, fine-tuned
};

/// What a study leaves: its table, and forgetting by shared words.
struct Results {
  std::vector<Measurement> measurements{};
  std::vector<SharedWords> shared_words{};
};

/// Where a study runs, and who watches.
struct Surroundings {
  ExecutorReference executor;
  ProgressLine& progress;
};

/// Trains and measures one seed.
void run_study(const Settings& settings, std::uint64_t seed, const Surroundings& surroundings, Results& results);

/// The seconds that training one seed will take, from the median of a few steps of a throwaway model.
double projected_seconds(const Settings& settings, ExecutorReference executor);

}  // namespace translation
