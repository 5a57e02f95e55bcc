#include "settings.hpp"

#include "../shared/checks.hpp"
#include "../shared/command.hpp"
#include "../shared/options.hpp"

#include <incontext/core/error.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <thread>

namespace forgetting {

namespace {

/// The settings of a preset. \throws ConfigurationError for an unknown name
Settings preset(const std::string& name) {
  Settings settings;
  settings.preset = name;
  settings.output = std::filesystem::path("results") / name;
  if (name == "small") {
    settings.dimension = 5;
    settings.exemplars = 6;
    settings.pool = 4;
    settings.steps = 24'000;
    settings.pure_steps = 8000;
    settings.seeds = 3;
    settings.checkpoint_every = 5000;
  } else if (name == "paper") {
    // Kotha et al. 2024, with the training of Garg et al. 2022.
    settings.dimension = 20;
    settings.exemplars = 40;
    settings.pool = 64;
    settings.alphas = {0.2, 0.5, 0.8};
    settings.width = 256;
    settings.layers = 12;
    settings.heads = 8;
    settings.initial_scale = 0.02;
    settings.steps = 500'000;
    settings.pure_steps = 500'000;
    settings.learning_rate = 1e-4;
    settings.warmup = 0;
    settings.schedule = "constant";
    settings.curriculum_dimension = 5;
    settings.curriculum_points = 11;
    settings.likelihood_exemplars = 10;
    settings.checkpoint_every = 250;
    settings.evaluate_every = 250;
  } else {
    incontext::require(name == "demo", "--preset is '", name, "', expected demo, small or paper");
  }
  return settings;
}

/// Refuses nonsense, naming the flag, the value and what was expected.
void check(const Settings& settings) {
  using incontext::require;
  using studies::at_least;
  using studies::positive;
  at_least("--dimension", settings.dimension, 1);
  at_least("--exemplars", settings.exemplars, 3);
  at_least("--pool", settings.pool, 1);
  positive("--noise", settings.noise);
  require(!settings.alphas.empty(), "--alpha is empty, expected at least one weight");
  for (const double alpha : settings.alphas) {
    require(alpha > 0.0 && alpha < 1.0, "--alpha is ", alpha, ", expected a weight above 0 and below 1");
  }
  studies::check_model(settings);
  positive("--initial-scale", settings.initial_scale);
  (void)incontext::precision_named(settings.precision, "--precision");
  at_least("--steps", settings.steps, 1);
  at_least("--pure-steps", settings.pure_steps, 1);
  at_least("--batch", settings.batch, 1);
  positive("--learning-rate", settings.learning_rate);
  require(settings.schedule == "cosine" || settings.schedule == "constant", "--schedule is '", settings.schedule,
          "', expected cosine or constant");
  const Index shortest = settings.pure ? (std::min)(settings.steps, settings.pure_steps) : settings.steps;
  require(settings.warmup >= 0 && settings.warmup < shortest, "--warmup is ", settings.warmup,
          ", expected at least 0 and fewer than the ", shortest, " steps of the shortest pretraining");
  require(settings.curriculum_dimension >= 0 && settings.curriculum_dimension <= settings.dimension,
          "--curriculum-dimension is ", settings.curriculum_dimension, ", expected 0 to ", settings.dimension);
  require(settings.curriculum_points >= 0 && settings.curriculum_points <= settings.points(), "--curriculum-points is ",
          settings.curriculum_points, ", expected 0 to ", settings.points());
  at_least("--curriculum-interval", settings.curriculum_interval, 1);
  at_least("--fine-tune-steps", settings.fine_tune_steps, 0);
  positive("--fine-tune-rate", settings.fine_tune_rate);
  require(!settings.gammas.empty(), "--gamma is empty, expected at least one scale");
  for (const double gamma : settings.gammas) {
    require(std::isfinite(gamma) && gamma > 1.0, "--gamma is ", gamma, ", expected a finite scale above 1");
  }
  at_least("--evaluate-every", settings.evaluate_every, 0);
  at_least("--prompts", settings.prompts, 16);
  require(settings.likelihood_exemplars >= 1 && settings.likelihood_exemplars <= settings.exemplars,
          "--likelihood-exemplars is ", settings.likelihood_exemplars, ", expected 1 to ", settings.exemplars);
  studies::check_run(settings);
}

}  // namespace

std::optional<Settings> parse(int count, char** arguments) {
  Settings settings = preset(studies::preset_named(count, arguments, "demo"));
  settings.threads = (std::max)(1U, std::thread::hardware_concurrency());

  CLI::App app{
      "Forgetting as implicit inference (Kotha et al. 2024): a transformer learns regression in context on a mixture "
      "of fresh and pooled tasks, is fine-tuned on the pool, forgets the fresh ones, and gets them back by conjugate "
      "prompting. Every number stands beside the Bayes-optimal one."};
  studies::set_defaults(app);
  const char* prompts = "Prompts";
  const char* model = "Model";
  const char* training = "Training";
  const char* evaluation = "Evaluation";
  const char* run = "Run";
  app.add_option("--preset", settings.preset,
                 "demo (two minutes), small (a quarter of an hour), paper (the true size, days, resumable)");
  app.add_option("--dimension", settings.dimension, "coordinates of an input")->group(prompts);
  app.add_option("--exemplars", settings.exemplars, "most exemplars before a query")->group(prompts);
  app.add_option("--pool", settings.pool, "tasks of the pool D_disc")->group(prompts);
  app.add_option("--noise", settings.noise, "standard deviation of the label noise")->group(prompts);
  studies::add_list_option(app, "--alpha", settings.alphas,
                           "weight of D_disc in the pretraining mixture; several give a study each")
      ->group(prompts);
  app.add_flag("--pure,!--no-pure", settings.pure, "also train on D_cont only and on D_disc only (claims 1 and 2)")
      ->group(prompts);
  studies::add_model_options(app, settings, model);
  app.add_option("--initial-scale", settings.initial_scale, "standard deviation of the initial weights")->group(model);
  studies::add_precision_option(app, settings, model);
  app.add_option("--steps", settings.steps, "pretraining steps on the mixture")->group(training);
  app.add_option("--pure-steps", settings.pure_steps, "pretraining steps of the pure models")->group(training);
  app.add_option("--batch", settings.batch, "prompts a step")->group(training);
  app.add_option("--learning-rate", settings.learning_rate, "peak of Adam's learning rate")->group(training);
  app.add_option("--schedule", settings.schedule, "cosine or constant")->group(training);
  app.add_option("--warmup", settings.warmup, "steps of linear warm-up")->group(training);
  app.add_option("--curriculum-dimension", settings.curriculum_dimension, "dimensions at the start, 0 for all")
      ->group(training);
  app.add_option("--curriculum-points", settings.curriculum_points, "points at the start, 0 for all")->group(training);
  app.add_option("--curriculum-interval", settings.curriculum_interval, "steps to one dimension and two points more")
      ->group(training);
  app.add_option("--fine-tune-steps", settings.fine_tune_steps, "steps on D_disc")->group(training);
  app.add_option("--fine-tune-rate", settings.fine_tune_rate, "learning rate on D_disc")->group(training);
  studies::add_list_option(app, "--gamma", settings.gammas, "label scales of conjugate prompting")->group(evaluation);
  app.add_option("--evaluate-every", settings.evaluate_every,
                 "steps between evaluations during pretraining on the mixture (learning.csv), 0 for none")
      ->group(evaluation);
  app.add_option("--prompts", settings.prompts, "evaluation prompts of every task")->group(evaluation);
  app.add_option("--likelihood-exemplars", settings.likelihood_exemplars,
                 "exemplars after which forgetting is held against the prompt's likelihood under D_disc")
      ->group(evaluation);
  studies::add_run_options(app, settings, run, "repetitions, each with its own pool, weights and data");
  if (!studies::read_options(app, count, arguments)) {
    return std::nullopt;
  }
  check(settings);
  return settings;
}

}  // namespace forgetting
