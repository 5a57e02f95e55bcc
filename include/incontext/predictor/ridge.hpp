#pragma once
/// \file
/// Ridge regression: the Bayes-optimal predictor of linear regression with Gaussian weights.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/predictor/growing_least_squares.hpp"
#include "incontext/predictor/inference.hpp"
#include "incontext/task/prompts.hpp"

#include <algorithm>
#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// w = (X'X + (noise / weight_scale)^2 I)^-1 X'y, the posterior mean of the weights where
/// w ~ N(0, weight_scale^2 I) and y = w . x + N(0, noise^2) (Hoerl and Kennard 1970; Garg et al. 2022, section 3).
/// Without noise it is the limit, minimum-norm least squares. Without exemplars it predicts 0.
class Ridge {
 public:
  struct Settings {
    double noise = 0.0;         ///< standard deviation of the label noise, at least 0
    double weight_scale = 1.0;  ///< prior standard deviation of every weight, positive
  };

  /// \throws ConfigurationError if a setting is out of range
  explicit Ridge(Settings settings) : settings_(settings) {
    require_noise("Ridge", settings.noise);
    require_weight_scale("Ridge", settings.weight_scale);
  }

  /// [count, points]
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    GrowingLeastSquares regression = start(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      regression.restart();
      for (Index point = 0; point < prompts.points; ++point) {
        regression.query(&prompts.inputs(prompt * prompts.points + point, 0));
        predictions(prompt, point) = regression.prediction();
        regression.append(prompts.labels(prompt, point));
      }
    }
    return predictions;
  }

  /// Predictions with the log evidence log N(y; 0, weight_scale^2 XX' + noise^2 I) of the exemplars, as the sum of
  /// log densities of each label given those before it.
  /// \throws ConfigurationError if noise is 0
  [[nodiscard]] Inference infer(const Prompts& prompts) const {
    require_density("Ridge::infer", settings_.noise);
    Inference inference{Predictions(prompts.count, prompts.points), RowMatrix<double>(prompts.count, prompts.points)};
    const double log_noise = std::log(settings_.noise);
    GrowingLeastSquares regression = start(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      regression.restart();
      double log_evidence = 0.0;
      for (Index point = 0; point < prompts.points; ++point) {
        const double label = prompts.labels(prompt, point);
        regression.query(&prompts.inputs(prompt * prompts.points + point, 0));
        inference.predictions(prompt, point) = regression.prediction();
        inference.log_evidence(prompt, point) = log_evidence;
        // The next label is N(w . x, noise^2 (1 + leverage)).
        const double surprise = (label - regression.prediction()) / settings_.noise;
        const double leverage = regression.leverage();
        log_evidence -=
            half_log_two_pi + log_noise + 0.5 * (std::log1p(leverage) + surprise * surprise / (1.0 + leverage));
        regression.append(label);
      }
    }
    return inference;
  }

  /// [count, points]: log N(y; 0, weight_scale^2 XX' + noise^2 I) of the exemplars before each point.
  /// \throws ConfigurationError if noise is 0
  [[nodiscard]] RowMatrix<double> log_evidence(const Prompts& prompts) const { return infer(prompts).log_evidence; }

  /// [count, dimension]: the weights after the first `exemplars` points of every prompt.
  /// \throws ShapeError if exemplars is not in [0, points]
  [[nodiscard]] RowMatrix<double> weights(const Prompts& prompts, Index exemplars) const {
    require<ShapeError>(exemplars >= 0 && exemplars <= prompts.points, "Ridge::weights: ", exemplars,
                        " exemplars of prompts of ", prompts.points, " points");
    RowMatrix<double> weights(prompts.count, prompts.dimension);
    GrowingLeastSquares regression = start(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      regression.restart();
      for (Index point = 0; point < exemplars; ++point) {
        regression.query(&prompts.inputs(prompt * prompts.points + point, 0));
        regression.append(prompts.labels(prompt, point));
      }
      const Vector its_weights = regression.weights();
      std::copy_n(its_weights.data(), its_weights.size(), &weights(prompt, 0));
    }
    return weights;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  [[nodiscard]] GrowingLeastSquares start(const Prompts& prompts) const {
    return {prompts.dimension, settings_.noise / settings_.weight_scale};
  }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
