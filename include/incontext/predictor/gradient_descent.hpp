#pragma once
/// \file
/// Gradient descent on the exemplars: least squares stopped early.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The weights after `steps` steps w <- w - rate * gradient of (1/k) ||y - X w||^2, from w = 0, afresh at every point
/// (Garg et al. 2022, section 3; von Oswald et al. 2023). The gradient is (2/k) X'(X w - y): the steps converge where
/// rate < k / lambda_max(X'X), to minimum-norm least squares, and diverge beyond. Without exemplars it predicts 0.
class GradientDescent {
 public:
  struct Settings {
    Index steps = 1;    ///< number of steps, at least 0
    double rate = 0.1;  ///< learning rate, positive
  };

  /// \throws ConfigurationError if a setting is out of range
  explicit GradientDescent(Settings settings) : settings_(settings) {
    require(settings.steps >= 0, "GradientDescent: steps is ", settings.steps, ", expected at least 0");
    require(settings.rate > 0.0 && std::isfinite(settings.rate), "GradientDescent: rate is ", settings.rate,
            ", expected a positive finite number");
  }

  /// [count, points]. The exemplars enter through X'X and X'y, so a step costs d^2 however many they are.
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    const Index dimension = prompts.dimension;
    Predictions predictions(prompts.count, prompts.points);
    const auto size = static_cast<std::size_t>(dimension);
    std::vector<double> covariance(size * size);  // X'X
    std::vector<double> correlation(size);        // X'y
    std::vector<double> weights(size);
    std::vector<double> gradient(size);  // half of k times the gradient
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      std::fill(covariance.begin(), covariance.end(), 0.0);
      std::fill(correlation.begin(), correlation.end(), 0.0);
      for (Index point = 0; point < prompts.points; ++point) {
        const double* const input = prompts.input(prompt, point);
        std::fill(weights.begin(), weights.end(), 0.0);
        const double rate = point == 0 ? 0.0 : 2.0 * settings_.rate / static_cast<double>(point);
        for (Index step = 0; point > 0 && step < settings_.steps; ++step) {
          for (std::size_t row = 0; row < size; ++row) {
            gradient[row] = inner_product(&covariance[row * size], weights.data(), dimension) - correlation[row];
          }
          add_scaled(-rate, gradient.data(), weights.data(), dimension);
        }
        predictions(prompt, point) = inner_product(weights.data(), input, dimension);
        for (std::size_t row = 0; row < size; ++row) {
          add_scaled(input[row], input, &covariance[row * size], dimension);
        }
        add_scaled(prompts.labels(prompt, point), input, correlation.data(), dimension);
      }
    }
    return predictions;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  Settings settings_;
};

INCONTEXT_NAMESPACE_END
