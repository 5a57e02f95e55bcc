#pragma once
/// Everything that the study depends on: presets, and what is refused before any work.

#include "../shared/checks.hpp"
#include "arm.hpp"

#include <incontext/simd/precision.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace inoculation {

/// Everything that the study depends on. The initial values are those of the demo preset.
struct Options {
  std::string preset = "demo";
  std::vector<std::string> settings = {"trait-distillation"};
  std::vector<std::string> studies = {};  ///< "main" and sweeps; empty for all of the preset
  std::vector<std::string> arms = {};     ///< by name; empty for all of the preset
  Index styles = 0;  ///< that prompts choose from; 1: a prompt does nothing but elicit traits; 0: the setting's
  // The model.
  Index width = 64;
  Index layers = 2;
  Index heads = 2;
  std::string precision = "fp32";  ///< of the matrix products
  // Training.
  Index steps = 6000;
  Index batch = 64;
  double learning_rate = 1e-3;
  Index fine_tune_steps = 200;
  double fine_tune_rate = 3e-4;
  // Evaluation.
  Index examples = 512;
  // The run.
  Index seeds = 3;
  Index first_seed = 0;
  Index fine_tune_seeds = 1;
  Index shard = 0;   ///< of `shards`
  Index shards = 1;  ///< the grid is cut into, by setting and seed
  Index threads = 2;
  std::filesystem::path output = "results/inoculation";
  std::vector<std::filesystem::path> merge = {};  ///< folders whose tables to join instead of running
  bool resume = false;
  bool summarise = false;
};

/// The options of a preset. \throws ConfigurationError for an unknown name
inline Options preset(const std::string& name) {
  Options options;
  options.preset = name;
  if (name == "full") {
    options.settings = {"all"};
    options.seeds = 8;
    options.steps = 8000;
    options.output = "results/inoculation-full";
  } else {
    require(name == "demo", "--preset is '", name, "', expected demo or full");
  }
  return options;
}

/// The settings that were asked for.
inline std::vector<Setting> settings_of(const Options& options) {
  std::vector<Setting> settings;
  if (options.settings == std::vector<std::string>{"all"}) {
    settings = all_settings();
  } else {
    for (const std::string& name : options.settings) {
      settings.push_back(setting_named(name));
    }
  }
  if (options.styles > 0) {
    for (Setting& setting : settings) {
      setting.styles = options.styles;
    }
  }
  return settings;
}

/// "main", or what is swept: "steps" of "steps=50".
inline std::string kind_of_study(const Arm& arm) { return arm.study.substr(0, arm.study.find('=')); }

/// The arms that were asked for, in one setting.
inline std::vector<Arm> arms_of(const Options& options, const Setting& setting) {
  std::vector<Arm> arms = options.preset == "demo" ? demo_arms() : all_arms(setting);
  const auto is_wanted = [](const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  std::erase_if(arms, [&](const Arm& arm) {
    const bool has_late_blocks = options.layers >= 2;
    return !is_wanted(options.arms, arm.name) || !is_wanted(options.studies, kind_of_study(arm)) ||
           (!arm.freeze.empty() && !has_late_blocks);
  });
  return arms;
}

/// Refuses nonsense, naming the flag, the value and what was expected.
inline void check(const Options& options) {
  using studies::at_least;
  using studies::positive;
  const std::vector<Setting> settings = settings_of(options);
  std::vector<Arm> arms = demo_arms();
  for (const Setting& setting : settings) {
    const std::vector<Arm> more = all_arms(setting);
    arms.insert(arms.end(), more.begin(), more.end());
  }
  const auto known = [&](const char* flag, const std::vector<std::string>& names, const auto& name_of) {
    for (const std::string& name : names) {
      std::string expected;
      bool is_known = false;
      for (const Arm& arm : arms) {
        is_known = is_known || name_of(arm) == name;
        if ((", " + expected + ",").find(", " + name_of(arm) + ",") == std::string::npos) {
          expected += (expected.empty() ? "" : ", ") + name_of(arm);
        }
      }
      require(is_known, flag, " has '", name, "', expected some of ", expected);
    }
  };
  known("--arms", options.arms, [](const Arm& arm) { return arm.name; });
  known("--studies", options.studies, kind_of_study);
  at_least("--styles", options.styles, 0);
  studies::check_model(options);
  (void)incontext::precision_named(options.precision, "--precision");
  at_least("--steps", options.steps, 1);
  at_least("--batch", options.batch, 1);
  positive("--learning-rate", options.learning_rate);
  at_least("--fine-tune-steps", options.fine_tune_steps, 1);
  positive("--fine-tune-rate", options.fine_tune_rate);
  at_least("--examples", options.examples, 2);
  at_least("--seeds", options.seeds, 1);
  at_least("--first-seed", options.first_seed, 0);
  at_least("--fine-tune-seeds", options.fine_tune_seeds, 1);
  require(options.shards >= 1 && options.shard >= 0 && options.shard < options.shards, "--shard is ", options.shard,
          "/", options.shards, ", expected i/n with i from 0 to n - 1");
  studies::check_threads(options.threads);
}

}  // namespace inoculation
