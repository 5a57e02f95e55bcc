#pragma once
/// \file
/// Early stop: an observer that ends a stage when its loss no longer falls.

#include "incontext/core/error.hpp"
#include "incontext/policy/observer.hpp"

#include <cmath>
#include <limits>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// Stops a stage when the smoothed loss has not reached a new minimum for `patience` steps. What it remembers is saved
/// with the checkpoint, so a resumed stage stops at the same step.
class EarlyStop {
 public:
  struct Settings {
    Index patience = 1000;                                     ///< steps without a new minimum
    double smoothing = 0.99;                                   ///< weight of the past in the running mean of the loss
    double target = -std::numeric_limits<double>::infinity();  ///< stop as soon as the smoothed loss is below
  };

  /// \throws ConfigurationError if a value makes no sense
  explicit EarlyStop(Settings settings) : settings_(settings) {
    require(settings.patience >= 1, "EarlyStop: patience is ", settings.patience, ", expected at least 1");
    require(settings.smoothing >= 0.0 && settings.smoothing < 1.0, "EarlyStop: smoothing is ", settings.smoothing,
            ", expected within [0, 1)");
    require(!std::isnan(settings.target), "EarlyStop: target is ", settings.target, ", expected a number");
  }

  template <class Scalar>
  Signal on_step(TrainingState<Scalar>& state) const {
    const auto [place, is_first] = state.memory.try_emplace("early_stop.loss", state.loss);
    double& smoothed = place->second;
    smoothed = is_first ? state.loss : settings_.smoothing * smoothed + (1.0 - settings_.smoothing) * state.loss;
    double& best = state.memory.try_emplace("early_stop.best", smoothed).first->second;
    double& since = state.memory.try_emplace("early_stop.step", static_cast<double>(state.step)).first->second;
    if (smoothed < best) {
      best = smoothed;
      since = static_cast<double>(state.step);
    }
    const bool waited = static_cast<double>(state.step) - since >= static_cast<double>(settings_.patience);
    return waited || smoothed < settings_.target ? Signal::stop : Signal::proceed;
  }

 private:
  Settings settings_;
};

INCONTEXT_NAMESPACE_END
