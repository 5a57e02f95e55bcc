#include "study.hpp"

#include "learning_curve.hpp"
#include "model.hpp"

#include <incontext/incontext.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace forgetting {

namespace {

/// The task distributions of one seed and one mixture weight, and the closed forms that know them.
struct Distributions {
  Distributions(const Settings& settings, double alpha, Key root)
      : cont({.dimension = settings.dimension, .points = settings.points(), .noise = settings.noise}),
        disc(pool(cont, settings.pool, root.fold("pool"))),
        mixture(mix(cont, alpha, disc)),
        ridge({.noise = settings.noise}),
        pool_posterior(disc.weights(), {.noise = settings.noise}),
        mixture_posterior(disc.weights(), {.noise = settings.noise, .pool_weight = alpha}) {}

  LinearRegression cont;
  Pool disc;
  Mixture<LinearRegression, Pool> mixture;
  Ridge ridge;
  PoolPosterior pool_posterior;
  MixturePosterior mixture_posterior;
};

/// The prompts that everything is measured on, and the closed forms beside the model.
Suite suite_of(const Settings& settings, const Distributions& distributions, Key root) {
  Suite suite{{.prompts = settings.prompts, .key = root.fold("evaluation")}};
  suite.task("D_cont", distributions.cont)
      .task("D_disc", distributions.disc)
      .task("D_mix", distributions.mixture)
      .reference("ridge", distributions.ridge)
      .reference("pool_posterior", distributions.pool_posterior)
      .reference("mixture_posterior", distributions.mixture_posterior);
  return suite;
}

/// Measures beyond the errors: how far the model is from either pure predictor, and the odds that its outputs show.
/// The predictors it is held against see the prompts as they are; only the model looks through the run's view, and
/// `predict` is both.
void measure_inference(const RunSettings& run, FunctionReference<Predictions(const Prompts&)> predict,
                       const std::string& stage, const Suite& suite, const Distributions& distributions,
                       std::vector<Record>& records) {
  for (const std::string task : {"D_cont", "D_disc"}) {
    const Prompts& prompts = suite.prompts(task);
    const Predictions model = predict(prompts);
    const Predictions ridge = predict_in_shards(distributions.ridge, prompts, run.executor);
    const Predictions disc = predict_in_shards(distributions.pool_posterior, prompts, run.executor);
    const auto add = [&](const char* metric, const Vector& values) {
      for (Index exemplars = 0; exemplars < values.size(); ++exemplars) {
        records.push_back({run.study, run.seed, stage, task, exemplars, "transformer", metric, values[exemplars]});
      }
    };
    add("squared_distance_to_ridge", squared_error(model, ridge));
    add("squared_distance_to_pool_posterior", squared_error(model, disc));
    add("fitted_pool_probability", fitted_pool_probability(model, disc, ridge));
  }
}

/// Claim 5: the error of every D_cont prompt before and after fine-tuning, and how likely D_disc finds the prompt.
void measure_likelihood(const Settings& settings, const Distributions& distributions, const Suite& suite,
                        const Run<Model>& before, const Run<Model>& after, Results& results) {
  const Index exemplars = settings.likelihood_exemplars;
  const Prompts& prompts = suite.prompts("D_cont");
  const Predictions error_before =
      (before.model().predict(prompts, before.executor()) - prompts.targets).array().square();
  const Predictions error_after = (after.model().predict(prompts, after.executor()) - prompts.targets).array().square();
  const RowMatrix<double> evidence = distributions.pool_posterior.log_evidence(prompts);
  std::vector<double> likelihoods;
  std::vector<double> rises;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    results.likelihoods.push_back({after.settings().study, after.settings().seed, evidence(prompt, exemplars),
                                   error_before(prompt, exemplars), error_after(prompt, exemplars)});
    likelihoods.push_back(evidence(prompt, exemplars));
    rises.push_back(error_after(prompt, exemplars) - error_before(prompt, exemplars));
  }
  results.records.push_back({after.settings().study, after.settings().seed, "fine-tuned", "D_cont", exemplars,
                             "transformer", "spearman_forgetting_likelihood",
                             spearman_correlation(likelihoods, rises)});
}

/// The learning-rate schedule of pretraining, over `steps`.
auto pretraining_optimiser(const Settings& settings, Index steps) {
  struct Shape {
    double rate;
    Index steps;
    Index warmup;
    bool is_cosine;
    double operator()(Index step) const {
      return is_cosine ? Cosine(rate, steps, warmup)(step) : LinearWarmup(rate, warmup + 1)(step);
    }
    [[nodiscard]] std::string describe() const {
      return is_cosine ? Cosine(rate, steps, warmup).describe() : LinearWarmup(rate, warmup + 1).describe();
    }
  };
  return chain(clip_norm(1.0), adam(),
               rate(Shape{settings.learning_rate, steps, settings.warmup, settings.schedule == "cosine"}));
}

TrainSettings pretraining(const Settings& settings, Index steps) {
  return {
      .steps = steps,
      .batch = settings.batch,
      .curriculum = {
          .dimension = {.start = settings.curriculum_dimension,
                        .increment = 1,
                        .interval = settings.curriculum_interval},
          .points = {.start = settings.curriculum_points, .increment = 2, .interval = settings.curriculum_interval}}};
}

}  // namespace

void run_study(const Settings& settings, std::uint64_t seed, double alpha, const Surroundings& surroundings,
               Results& results) {
  const auto& [executor, progress, command, step_seconds] = surroundings;
  const Key root = Key(seed).fold("forgetting");
  const Distributions distributions(settings, alpha, root);
  const Suite suite = suite_of(settings, distributions, root);
  const std::string place = text("seed-", seed, "-", study_name(alpha));
  const std::filesystem::path folder = settings.output / "training" / place;
  TrainingCurve curve{{.folder = folder, .every = 100}};
  Checkpoint checkpoint{{.folder = settings.output / "checkpoints" / place,
                         .every = settings.checkpoint_every,
                         .resume = settings.resume}};
  progress.set_label(text("seed ", seed, " ", study_name(alpha)));

  // Evaluates a run under a name, with the measures beyond the errors, and keeps the new records.
  const auto measure = [&](const auto& run, const std::string& stage) {
    const auto evaluated = run_stage(Evaluate{stage, suite}, run, checkpoint);
    append_records(results.records, std::span(evaluated.records()).subspan(run.records().size()));
    const auto predict = [&](const Prompts& prompts) {
      return run.view().invert_predictions(run.model().predict(run.view().apply(prompts), run.executor()), prompts);
    };
    measure_inference(run.settings(), predict, stage, suite, distributions, results.records);
  };
  // The same under every conjugation.
  const auto measure_conjugated = [&](const auto& run, const std::string& stage) {
    const auto under = [&](const std::string& name, const auto& map) {
      measure(run_stage(ConjugatePrompt{map}, run), stage + " | " + name);
    };
    for (const double gamma : settings.gammas) {
      under("scale " + shortest_text(gamma), ScaleLabels{gamma});
    }
    under("flip", FlipSign{});
    under("rotate", RotateInputs::random(settings.dimension, root.fold("rotation")));
    under("permute", PermuteCoordinates::random(settings.dimension, root.fold("permutation")));
  };

  const bool is_pure = alpha == 0.0 || alpha == 1.0;
  const Index steps = is_pure ? settings.pure_steps : settings.steps;
  const TrainSettings its_pretraining = pretraining(settings, steps);
  const auto pretrain = Pretrain{distributions.mixture, pretraining_optimiser(settings, steps), its_pretraining};
  const auto fine_tune = FineTune{distributions.disc,
                                  chain(clip_norm(1.0), adam(), rate(settings.fine_tune_rate)),
                                  {.steps = settings.fine_tune_steps, .batch = settings.batch}};

  const Model initial{settings.model(), root.fold("initialisation")};
  LearningCurve learning({.folder = folder,
                          .command = command,
                          .every = is_pure ? 0 : settings.evaluate_every,
                          .curriculum = its_pretraining.curriculum,
                          .full_step_seconds = step_seconds},
                         initial, distributions, root, executor);
  const Run<Model> pretrained = run_stage(
      pretrain, start(initial, root.fold("run"), {.study = study_name(alpha), .seed = seed, .executor = executor}),
      progress, curve, learning, checkpoint);
  measure(pretrained, "pretrained");
  if (is_pure) {
    return;
  }
  measure_conjugated(pretrained, "pretrained");
  const Run<Model> fine_tuned = run_stage(fine_tune, pretrained, progress, curve, checkpoint);
  measure(fine_tuned, "fine-tuned");
  measure_conjugated(fine_tuned, "fine-tuned");
  measure_likelihood(settings, distributions, suite, pretrained, fine_tuned, results);
}

Projection projected(const Settings& settings, ExecutorReference executor) {
  const Distributions distributions(settings, 0.5, Key(0));
  Model model{settings.model(), Key(0)};
  Trainer trainer(model, chain(clip_norm(1.0), adam(), rate(1e-6)));
  std::vector<double> seconds;
  for (Index number = 0; number < 6; ++number) {
    const double begin = steady_seconds();
    trainer.step(model, distributions.mixture.sample(Key(0).fold(number), settings.batch), number, executor);
    seconds.push_back(steady_seconds() - begin);
  }
  seconds.erase(seconds.begin());  // the first allocates
  std::sort(seconds.begin(), seconds.end());
  const double step_seconds = seconds[seconds.size() / 2];
  const Index mixture_steps = (settings.steps + settings.fine_tune_steps) * static_cast<Index>(settings.alphas.size());
  const Index steps = mixture_steps + (settings.pure ? 2 * settings.pure_steps : 0);
  const auto mib = [](Index bytes) { return static_cast<double>(bytes) / 1048576.0; };
  const Index tokens = Model::Encoding::tokens(0, settings.points());
  const auto& gradient = trainer.gradient();
  return {step_seconds, step_seconds * static_cast<double>(steps),
          mib(gradient.workspace_bound(model, settings.batch, tokens, executor.workers())),
          mib(gradient.gradient_bytes())};
}

}  // namespace forgetting
