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
    multiply(prompts.labels, gamma_);
    multiply(prompts.targets, gamma_);
    return prompts;
  }

  [[nodiscard]] Prompts invert(Prompts prompts) const {
    divide(prompts.labels, gamma_);
    divide(prompts.targets, gamma_);
    return prompts;
  }

  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const {
    divide(predictions, gamma_);
    return predictions;
  }

  [[nodiscard]] double gamma() const { return gamma_; }

 private:
  static void multiply(RowMatrix<double>& values, double factor) {
    for (Index index = 0; index < values.size(); ++index) {
      values.data()[index] *= factor;
    }
  }
  static void divide(RowMatrix<double>& values, double divisor) {
    for (Index index = 0; index < values.size(); ++index) {
      values.data()[index] /= divisor;
    }
  }

  double gamma_;
};

INCONTEXT_NAMESPACE_END
