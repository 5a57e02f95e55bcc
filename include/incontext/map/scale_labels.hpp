#pragma once
/// \file
/// Labels times a constant: the conjugation by which Kotha, Springer and Raghunathan, "Understanding catastrophic
/// forgetting in language models via implicit inference", ICLR 2024, bring forgotten regression back.

#include "incontext/map/map.hpp"

#include <cmath>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Multiplies labels and targets by gamma; the inverse divides prompts and predictions by it. Inverting is exact for
/// powers of two and costs at most two roundings otherwise.
class ScaleLabels {
 public:
  /// \throws ConfigurationError if gamma is 0 or not finite
  explicit ScaleLabels(double gamma) : gamma_(gamma) {
    require(std::isfinite(gamma) && gamma != 0.0, "ScaleLabels: gamma is ", gamma,
            ", expected a finite number other than 0");
  }

  [[nodiscard]] Prompts apply(Prompts prompts) const {
    for (Index index = 0; index < prompts.labels.size(); ++index) {
      prompts.labels.data()[index] *= gamma_;
      prompts.targets.data()[index] *= gamma_;
    }
    return prompts;
  }

  [[nodiscard]] Prompts invert(Prompts prompts) const {
    divide(prompts.labels);
    divide(prompts.targets);
    return prompts;
  }

  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const {
    divide(predictions);
    return predictions;
  }

  [[nodiscard]] double gamma() const { return gamma_; }

 private:
  void divide(RowMatrix<double>& values) const {
    for (Index index = 0; index < values.size(); ++index) {
      values.data()[index] /= gamma_;
    }
  }

  double gamma_;
};

INCONTEXT_NAMESPACE_END
