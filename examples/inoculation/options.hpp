#pragma once
/// The command line of the study: presets, and what is refused before any work.

#include "arm.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
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
  // Training.
  Index steps = 8000;
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

  [[nodiscard]] bool runs() const { return merge.empty() && !summarise; }
};

/// The options of a preset. \throws ConfigurationError for an unknown name
inline Options preset(const std::string& name) {
  Options options;
  options.preset = name;
  if (name == "full") {
    options.settings = {"all"};
    options.seeds = 8;
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
    return !is_wanted(options.arms, arm.name) || !is_wanted(options.studies, kind_of_study(arm));
  });
  return arms;
}

/// Refuses nonsense, naming the flag, the value and what was expected.
inline void check(const Options& options) {
  const auto at_least = [](const char* flag, Index value, Index least) {
    require(value >= least, flag, " is ", value, ", expected at least ", least);
  };
  const auto positive = [](const char* flag, double value) {
    require(std::isfinite(value) && value > 0.0, flag, " is ", value, ", expected a finite number above 0");
  };
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
  at_least("--width", options.width, 1);
  at_least("--layers", options.layers, 1);
  at_least("--heads", options.heads, 1);
  require(options.width % options.heads == 0, "--width is ", options.width, ", expected a multiple of --heads, ",
          options.heads);
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
  require(options.threads >= 1 && options.threads <= 1024, "--threads is ", options.threads, ", expected 1 to 1024");
}

/// Reads "i/n". \throws ConfigurationError if it is something else
inline void parse_shard(const std::string& words, Options& options) {
  const std::size_t slash = words.find('/');
  const auto number = [&](std::string_view digits, Index& value) {
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size();
  };
  const std::string_view view = words;
  require(slash != std::string::npos && number(view.substr(0, slash), options.shard) &&
              number(view.substr(slash + 1), options.shards),
          "--shard is '", words, "', expected i/n with i from 0 to n - 1");
}

/// Makes the output folder and sees that it can be written to, before any work is done.
inline void check_output(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require<FileError>(
      !error && std::filesystem::is_directory(folder, error), "--output is '", folder.string(),
      "', expected a folder that can be made: ", error ? error.message() : std::string("there is a file of that name"));
  const std::filesystem::path probe = folder / "writable.part";
  std::ofstream stream(probe);
  stream << "probe";
  stream.close();
  require<FileError>(!stream.fail(), "--output is '", folder.string(), "', expected a folder that can be written to");
  std::filesystem::remove(probe, error);
}

/// Reads the command line over the preset that it names. Exits by CLI::ParseError, also for --help.
inline Options parse(int count, char** arguments) {
  // The preset decides the defaults, so it is looked up first.
  std::string name = "demo";
  for (int index = 1; index < count; ++index) {
    const std::string argument = arguments[index];
    if (argument == "--preset" && index + 1 < count) {
      name = arguments[index + 1];
    } else if (argument.starts_with("--preset=")) {
      name = argument.substr(9);
    }
  }
  Options options = preset(name);
  options.threads = (std::max)(1U, std::thread::hardware_concurrency());
  std::string shard = "0/1";

  CLI::App app{
      "Inoculation prompting, and how much of it is conditionalization: models that know prompts which elicit traits "
      "are fine-tuned on data that show a wanted and an unwanted trait, behind prompts of many kinds, and asked "
      "without them. After Tan et al. 2025, Wichers et al. 2025, and Riche and nielsrolf 2026."};
  app.option_defaults()->always_capture_default()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const char* grid = "Grid";
  const char* model = "Model";
  const char* training = "Training";
  const char* run = "Run";
  app.add_option("--preset", options.preset, "demo (three minutes), full (every setting, arm and sweep)");
  app.add_option("--setting", options.settings, "all, or names with commas between them")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(grid);
  app.add_option("--arms", options.arms, "names with commas between them; all of the preset where it is not given")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(grid);
  app.add_option("--studies", options.studies, "main, paraphrases, steps, rate, examples; all of the preset by default")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(grid);
  app.add_option("--styles", options.styles,
                 "that prompts choose from, beside eliciting traits: the more, the more there is to be conditional on; "
                 "1 for none, 0 for the setting's")
      ->group(grid);
  app.add_option("--seeds", options.seeds, "base models, each pretrained from its own seed")->group(grid);
  app.add_option("--first-seed", options.first_seed, "the first of them")->group(grid);
  app.add_option("--fine-tune-seeds", options.fine_tune_seeds, "fine-tuning runs of each base model and arm")
      ->group(grid);
  app.add_option("--width", options.width, "size of the residual stream")->group(model);
  app.add_option("--layers", options.layers, "blocks")->group(model);
  app.add_option("--heads", options.heads, "attention heads of a block")->group(model);
  app.add_option("--steps", options.steps, "pretraining steps")->group(training);
  app.add_option("--batch", options.batch, "examples a step")->group(training);
  app.add_option("--learning-rate", options.learning_rate, "peak of Adam's learning rate in pretraining")
      ->group(training);
  app.add_option("--fine-tune-steps", options.fine_tune_steps, "fine-tuning steps")->group(training);
  app.add_option("--fine-tune-rate", options.fine_tune_rate, "learning rate of fine-tuning")->group(training);
  app.add_option("--examples", options.examples, "that every evaluation asks about")->group(run);
  app.add_option("--shard", shard, "i/n: the i-th of n parts of the grid, counted from 0")->group(run);
  app.add_option("--merge", options.merge, "folders of shards, to join in --output instead of running")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(run);
  app.add_option("--threads", options.threads, "worker threads; they never change a result")->group(run);
  app.add_option("--output", options.output, "folder for table, report, figures and checkpoints")->group(run);
  app.add_flag("--resume", options.resume, "keep the finished cells of the output folder, and go on")->group(run);
  app.add_flag("--summarise", options.summarise, "only rewrite report and figures from the table")->group(run);
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help);
    throw;
  }
  parse_shard(shard, options);
  check(options);
  return options;
}

}  // namespace inoculation
