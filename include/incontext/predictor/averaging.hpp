#pragma once
/// \file
/// The averaging estimator: one step away from knowing nothing.

#include "incontext/core/config.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

#include <algorithm>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// w = (1/k) sum_i y_i x_i, unbiased where x ~ N(0, I) (Garg et al. 2022, section 3). Without exemplars it predicts 0.
class Averaging {
 public:
  /// [count, points]
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    std::vector<double> sum(static_cast<std::size_t>(prompts.dimension));  // of y_i x_i
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (Index point = 0; point < prompts.points; ++point) {
        const double* const input = prompts.input(prompt, point);
        const double label = prompts.labels(prompt, point);
        predictions(prompt, point) =
            point == 0 ? 0.0 : inner_product(sum.data(), input, prompts.dimension) / static_cast<double>(point);
        for (std::size_t coordinate = 0; coordinate < sum.size(); ++coordinate) {
          sum[coordinate] += label * input[coordinate];
        }
      }
    }
    return predictions;
  }
};

INCONTEXT_NAMESPACE_END
