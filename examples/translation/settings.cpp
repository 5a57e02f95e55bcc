#include "settings.hpp"

#include "../shared/checks.hpp"
#include "../shared/command.hpp"
#include "../shared/options.hpp"

#include <incontext/core/error.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <thread>

namespace translation {

namespace {

/// The settings of a preset. \throws ConfigurationError for an unknown name
Settings preset(const std::string& name) {
  Settings settings;
  settings.preset = name;
  settings.output = std::filesystem::path("results/translation") / name;
  if (name == "full") {
    settings.seeds = 8;
  } else {
    incontext::require(name == "demo", "--preset is '", name, "', expected demo or full");
  }
  return settings;
}

/// Refuses nonsense, naming the flag, the value and what was expected.
void check(const Settings& settings) {
  using incontext::require;
  using studies::at_least;
  using studies::positive;
  at_least("--exemplars", settings.exemplars, 1);
  require(settings.words > settings.exemplars, "--words is ", settings.words, ", expected more than --exemplars, ",
          settings.exemplars);
  double before = -1.0;
  for (const double similarity : settings.similarities) {
    const double shared = similarity * static_cast<double>(settings.words);
    require(similarity >= 0.0 && similarity < 1.0, "--similarity is ", similarity,
            ", expected a share of at least 0 and below 1");
    require(similarity > before, "--similarity is ", similarity, " after ", before, ", expected rising shares");
    require(shared == std::floor(shared), "--similarity is ", similarity, ", expected a share that is a whole number",
            " of the ", settings.words, " words");
    before = similarity;
  }
  require(settings.similarities.size() >= 2, "--similarity has ", settings.similarities.size(),
          " value, expected 0 and at least one more");
  require(settings.similarities.front() == 0.0, "--similarity is ", settings.similarities.front(),
          " in front, expected 0, a language that has no word in common with language 1");
  require(settings.dictionary_weight > 0.0 && settings.dictionary_weight < 1.0, "--dictionary-weight is ",
          settings.dictionary_weight, ", expected a weight above 0 and below 1");
  require(settings.conflict > 0.0 && settings.conflict <= 1.0, "--conflict is ", settings.conflict,
          ", expected a share above 0 and at most 1");
  studies::check_model(settings);
  positive("--initial-scale", settings.initial_scale);
  at_least("--steps", settings.steps, 1);
  at_least("--batch", settings.batch, 1);
  positive("--learning-rate", settings.learning_rate);
  require(settings.warmup >= 0 && settings.warmup < settings.steps, "--warmup is ", settings.warmup,
          ", expected at least 0 and fewer than --steps, ", settings.steps);
  at_least("--fine-tune-steps", settings.fine_tune_steps, 0);
  positive("--fine-tune-rate", settings.fine_tune_rate);
  at_least("--prompts", settings.prompts, 16);
  studies::check_run(settings);
}

}  // namespace

std::optional<Settings> parse(int count, char** arguments) {
  Settings settings = preset(studies::preset_named(count, arguments, "demo"));
  settings.threads = (std::max)(1U, std::thread::hardware_concurrency());

  CLI::App app{
      "Conjugate prompting of a language model in small (Kotha et al. 2024, section 4): a transformer learns two "
      "skills "
      "in several languages, answers from the exemplars of a prompt and answers from a dictionary; it is fine-tuned on "
      "the dictionary in language 1, forgets there to answer from exemplars, less in languages that are less like it, "
      "and gets it back by translating the prompt and translating the answer back."};
  studies::set_defaults(app);
  const char* prompts = "Languages and prompts";
  const char* model = "Model";
  const char* training = "Training";
  const char* run = "Run";
  app.add_option("--preset", settings.preset, "demo (one seed), full (the same size with eight seeds)");
  app.add_option("--words", settings.words, "words of every language")->group(prompts);
  studies::add_list_option(
      app, "--similarity", settings.similarities,
      "shares of words that the other languages have in common with language 1, rising; one language each")
      ->group(prompts);
  app.add_option("--exemplars", settings.exemplars, "exemplars of a prompt")->group(prompts);
  app.add_option("--dictionary-weight", settings.dictionary_weight, "weight of the dictionary skill in pretraining")
      ->group(prompts);
  app.add_option("--conflict", settings.conflict,
                 "share of the dictionary's prompts whose exemplars have another answer to the query")
      ->group(prompts);
  studies::add_model_options(app, settings, model);
  app.add_option("--initial-scale", settings.initial_scale, "standard deviation of the initial weights")->group(model);
  app.add_option("--steps", settings.steps, "pretraining steps")->group(training);
  app.add_option("--batch", settings.batch, "prompts a step")->group(training);
  app.add_option("--learning-rate", settings.learning_rate, "peak of Adam's learning rate")->group(training);
  app.add_option("--warmup", settings.warmup, "steps of linear warm-up")->group(training);
  app.add_option("--fine-tune-steps", settings.fine_tune_steps, "steps on the dictionary")->group(training);
  app.add_option("--fine-tune-rate", settings.fine_tune_rate, "learning rate on the dictionary")->group(training);
  app.add_option("--prompts", settings.prompts, "evaluation prompts of every skill")->group(run);
  studies::add_run_options(app, settings, run, "repetitions, each with its own languages, weights and data");
  if (!studies::read_options(app, count, arguments)) {
    return std::nullopt;
  }
  check(settings);
  return settings;
}

}  // namespace translation
