#include "command_line.hpp"

#include "../shared/command.hpp"
#include "../shared/options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace inoculation {

namespace {

/// Reads "i/n". \throws ConfigurationError if it is something else
void parse_shard(const std::string& words, Options& options) {
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

}  // namespace

std::optional<Options> parse(int count, char** arguments) {
  Options options = preset(studies::preset_named(count, arguments, "demo"));
  options.threads = (std::max)(1U, std::thread::hardware_concurrency());
  std::string shard = "0/1";

  CLI::App app{
      "Inoculation prompting, and how much of it is conditionalization: models that know prompts which elicit traits "
      "are fine-tuned on data that show a wanted and an unwanted trait, behind prompts of many kinds, and asked "
      "without them. After Tan et al. 2025, Wichers et al. 2025, and Riche and nielsrolf 2026."};
  studies::set_defaults(app);
  const char* grid = "Grid";
  const char* model = "Model";
  const char* training = "Training";
  const char* run = "Run";
  app.add_option("--preset", options.preset, "demo (three minutes), full (every setting, arm and sweep)");
  studies::add_list_option(app, "--setting", options.settings, "all, or names with commas between them")->group(grid);
  studies::add_list_option(app, "--arms", options.arms,
                           "names with commas between them; all of the preset where it is not given")
      ->group(grid);
  studies::add_list_option(app, "--studies", options.studies,
                           "main, paraphrases, steps, rate, examples, patching; all of the preset by default")
      ->group(grid);
  app.add_option("--styles", options.styles,
                 "that prompts choose from, beside eliciting traits: the more, the more there is to be conditional on; "
                 "1 for none, 0 for the setting's")
      ->group(grid);
  app.add_option("--seeds", options.seeds, "base models, each pretrained from its own seed")->group(grid);
  app.add_option("--first-seed", options.first_seed, "the first of them")->group(grid);
  app.add_option("--fine-tune-seeds", options.fine_tune_seeds, "fine-tuning runs of each base model and arm")
      ->group(grid);
  studies::add_model_options(app, options, model);
  studies::add_precision_option(app, options, model);
  app.add_option("--steps", options.steps, "pretraining steps")->group(training);
  app.add_option("--batch", options.batch, "examples a step")->group(training);
  app.add_option("--learning-rate", options.learning_rate, "peak of Adam's learning rate in pretraining")
      ->group(training);
  app.add_option("--fine-tune-steps", options.fine_tune_steps, "fine-tuning steps")->group(training);
  app.add_option("--fine-tune-rate", options.fine_tune_rate, "learning rate of fine-tuning")->group(training);
  app.add_option("--examples", options.examples, "that every evaluation asks about")->group(run);
  app.add_option("--shard", shard, "i/n: the i-th of n parts of the grid, counted from 0")->group(run);
  studies::add_list_option(app, "--merge", options.merge, "folders of shards, to join in --output instead of running")
      ->group(run);
  app.add_option("--threads", options.threads, "worker threads; they never change a result")->group(run);
  app.add_option("--output", options.output, "folder for table, report, figures and checkpoints")->group(run);
  app.add_flag("--resume", options.resume, "keep the finished cells of the output folder, and go on")->group(run);
  app.add_flag("--summarise", options.summarise, "only rewrite report and figures from the table")->group(run);
  if (!studies::read_options(app, count, arguments)) {
    return std::nullopt;
  }
  parse_shard(shard, options);
  check(options);
  return options;
}

}  // namespace inoculation
