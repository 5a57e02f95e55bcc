#pragma once
/// \file
/// The Bayes-optimal predictor where a prompt's task comes from a finite pool or is new, with known probability.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/predictor/inference.hpp"
#include "incontext/predictor/pool_posterior.hpp"
#include "incontext/predictor/ridge.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// w = g w_pool + (1 - g) w_ridge, where g is the posterior probability that the prompt's task is one of the pool:
/// logit g = log(a / (1 - a)) + log[(1/n) sum_i N(y; X w_i, noise^2 I)] - log N(y; 0, weight_scale^2 XX' + noise^2 I)
/// with a = pool_weight (Kotha et al. 2024, section 2). Without exemplars g = a exactly.
///
/// At pool_weight 0 and 1 it is Ridge and PoolPosterior, bit for bit, and noise may be 0.
class MixturePosterior {
 public:
  struct Settings {
    double noise = 0.0;         ///< standard deviation of the label noise; positive if 0 < pool_weight < 1
    double weight_scale = 1.0;  ///< standard deviation of every weight of a new task, positive
    double pool_weight = 0.5;   ///< prior probability that the task is one of the pool, in [0, 1]
  };

  /// `pool` is [tasks, dimension]: one weight vector a row.
  /// \throws ConfigurationError if the pool is empty or not finite, or a setting is out of range
  MixturePosterior(const RowMatrix<double>& pool, Settings settings)
      : settings_(settings),
        pool_(pool, {.noise = settings.noise}),
        ridge_({.noise = settings.noise, .weight_scale = settings.weight_scale}) {
    require(settings.pool_weight >= 0.0 && settings.pool_weight <= 1.0, "MixturePosterior: pool_weight is ",
            settings.pool_weight, ", expected a number in [0, 1]");
    if (!is_pure()) {
      require_density("MixturePosterior", settings.noise);
    }
  }

  /// [count, points]
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    require_dimension(prompts);
    if (settings_.pool_weight == 0.0) {
      return ridge_.predict(prompts);
    }
    if (settings_.pool_weight == 1.0) {
      return pool_.predict(prompts);
    }
    const Inference from_pool = pool_.infer(prompts);
    const Inference from_ridge = ridge_.infer(prompts);
    Predictions mixed = posterior(from_pool.log_evidence, from_ridge.log_evidence);
    for (Index index = 0; index < mixed.size(); ++index) {
      const double probability = mixed.data()[index];
      mixed.data()[index] = (1.0 - probability) * from_ridge.predictions.data()[index] +
                            probability * from_pool.predictions.data()[index];
    }
    return mixed;
  }

  /// [count, points]: g, the probability that the task is one of the pool given the exemplars before each point.
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] RowMatrix<double> pool_probability(const Prompts& prompts) const {
    require_dimension(prompts);
    if (is_pure()) {
      return RowMatrix<double>::Constant(prompts.count, prompts.points, settings_.pool_weight);
    }
    return posterior(pool_.log_evidence(prompts), ridge_.log_evidence(prompts));
  }

  /// [count, points]: logit g, which tells how far beyond doubt g is where g itself has rounded to 0 or 1.
  /// \throws ConfigurationError if noise is 0
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] RowMatrix<double> pool_log_odds(const Prompts& prompts) const {
    require_density("MixturePosterior::pool_log_odds", settings_.noise);
    require_dimension(prompts);
    const double prior = std::log(settings_.pool_weight) - std::log1p(-settings_.pool_weight);
    RowMatrix<double> odds = pool_.log_evidence(prompts);
    const RowMatrix<double> ridge_log_evidence = ridge_.log_evidence(prompts);
    for (Index index = 0; index < odds.size(); ++index) {
      odds.data()[index] = prior + odds.data()[index] - ridge_log_evidence.data()[index];
    }
    return odds;
  }

  /// The predictor, and through it the evidence, of a task from the pool.
  [[nodiscard]] const PoolPosterior& pool() const { return pool_; }
  /// The predictor, and through it the evidence, of a new task.
  [[nodiscard]] const Ridge& ridge() const { return ridge_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  void require_dimension(const Prompts& prompts) const {
    require<ShapeError>(prompts.dimension == pool_.dimension(), "MixturePosterior: prompts of ", prompts.dimension,
                        " dimensions for a pool of tasks in ", pool_.dimension());
  }

  [[nodiscard]] bool is_pure() const { return settings_.pool_weight == 0.0 || settings_.pool_weight == 1.0; }

  // a / (a + (1 - a) N_ridge / N_pool): any quotient of evidences, even infinite, gives a probability, and 1 gives a.
  [[nodiscard]] RowMatrix<double> posterior(const RowMatrix<double>& pool_log_evidence,
                                            const RowMatrix<double>& ridge_log_evidence) const {
    const double weight = settings_.pool_weight;
    RowMatrix<double> probability = ridge_log_evidence - pool_log_evidence;
    exponentiate(probability);
    for (Index index = 0; index < probability.size(); ++index) {
      probability.data()[index] = weight / (weight + (1.0 - weight) * probability.data()[index]);
    }
    return probability;
  }

  Settings settings_;
  PoolPosterior pool_;
  Ridge ridge_;
};

INCONTEXT_NAMESPACE_END
