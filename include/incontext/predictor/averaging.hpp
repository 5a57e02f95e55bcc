#pragma once
/// \file
/// The averaging estimator: one step away from knowing nothing.

#include "incontext/core/config.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/task/prompts.hpp"

#include <Eigen/Core>

INCONTEXT_NAMESPACE_BEGIN

/// w = (1/k) sum_i y_i x_i, unbiased where x ~ N(0, I) (Garg et al. 2022, section 3). Without exemplars it predicts 0.
class Averaging {
 public:
  /// [count, points]
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    Eigen::RowVectorXd sum(prompts.dimension);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      sum.setZero();
      for (Index point = 0; point < prompts.points; ++point) {
        const auto input = prompts.inputs.row(prompt * prompts.points + point);
        predictions(prompt, point) = point == 0 ? 0.0 : sum.dot(input) / static_cast<double>(point);
        sum += prompts.labels(prompt, point) * input;
      }
    }
    return predictions;
  }
};

INCONTEXT_NAMESPACE_END
