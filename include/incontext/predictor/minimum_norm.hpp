#pragma once
/// \file
/// Minimum-norm least squares: ridge regression without noise.

#include "incontext/core/config.hpp"
#include "incontext/predictor/ridge.hpp"
#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// w = X^+ y: among the least-squares solutions the one of smallest norm. It interpolates while there are fewer
/// exemplars than dimensions, and is ordinary least squares from then on (the "least squares" of Garg et al. 2022).
/// Inputs may repeat or depend on each other: an input closer to the span of those before it than sqrt(epsilon) times
/// its norm counts as lying in it (see GrowingLeastSquares). Without exemplars it predicts 0.
class MinimumNorm {
 public:
  /// [count, points]
  [[nodiscard]] Predictions predict(const Prompts& prompts) const { return Ridge{{.noise = 0.0}}.predict(prompts); }
};

INCONTEXT_NAMESPACE_END
