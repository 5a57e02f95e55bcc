#pragma once
/// \file
/// What a probabilistic predictor infers in one pass, and the checks on noise that such predictors share.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/task/prompts.hpp"

#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// Predictions, and how probable the predictor's task distribution finds the exemplars they rest on.
struct Inference {
  Predictions predictions;         ///< [count, points]
  RowMatrix<double> log_evidence;  ///< [count, points]: log p(y_0, ..., y_{k-1} | x_0, ..., x_{k-1}), natural log
};

/// Half the logarithm of 2 pi: what one label of unit noise adds to a negative log density.
inline constexpr double half_log_two_pi = 0.91893853320467274178;

/// Positive noise below this is refused, since labels divided by it overflow when squared.
inline constexpr double smallest_noise = 1e-100;

/// Checks a standard deviation of label noise: 0, or finite and at least `smallest_noise`.
/// \throws ConfigurationError naming the predictor and the value
inline void require_noise(const char* predictor, double noise) {
  require(noise == 0.0 || (noise >= smallest_noise && std::isfinite(noise)), predictor, ": noise is ", noise,
          ", expected 0 or a finite number of at least ", smallest_noise);
}

/// Checks that labels have a density. \throws ConfigurationError if noise is 0
inline void require_density(const char* predictor, double noise) {
  require(noise > 0.0, predictor, ": noise is ", noise,
          ", expected a positive number: without noise labels have no density");
}

/// Checks a standard deviation of task weights. \throws ConfigurationError unless it is positive and finite
inline void require_weight_scale(const char* predictor, double weight_scale) {
  require(weight_scale > 0.0 && std::isfinite(weight_scale), predictor, ": weight_scale is ", weight_scale,
          ", expected a positive finite number");
}

INCONTEXT_NAMESPACE_END
