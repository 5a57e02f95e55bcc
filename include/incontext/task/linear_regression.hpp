#pragma once
/// \file
/// Linear regression with Gaussian weights, the function class of Garg, Tsipras, Liang and Valiant, "What can
/// transformers learn in-context?", NeurIPS 2022. Its Bayes-optimal predictor is ridge regression.

#include "incontext/task/linear_task.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// w ~ N(0, tau^2 I) with tau = settings.weight_scale.
struct GaussianWeights {
  [[nodiscard]] Vector draw(Stream& stream, const LinearSettings& settings) const {
    Vector weight(settings.dimension);
    stream.fill_normal(weight.data(), weight.data() + weight.size(), settings.weight_scale);
    return weight;
  }
};

/// Linear regression with a fresh Gaussian weight vector for every prompt:
/// `LinearRegression{{.dimension = 8, .points = 17, .noise = 0.5}}`.
using LinearRegression = LinearTask<GaussianWeights>;

INCONTEXT_NAMESPACE_END
