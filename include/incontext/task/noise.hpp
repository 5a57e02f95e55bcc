#pragma once
/// \file
/// Gaussian noise on labels: the function that adds it, and the wrapper that gives it to any task.

#include "incontext/task/task.hpp"

#include <cmath>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Adds independent N(0, noise^2) numbers to the labels of the prompts [first, last). Prompt i draws from key.fold(i),
/// point after point, so neither a larger batch nor a longer prompt changes what a point receives.
inline void add_label_noise(Prompts& prompts, Index first, Index last, double noise, Key key) {
  if (noise == 0.0) {
    return;
  }
  std::vector<double> errors(static_cast<std::size_t>(prompts.points));
  for (Index prompt = first; prompt < last; ++prompt) {
    Stream(key.fold(prompt)).fill_normal(errors.begin(), errors.end(), noise);
    for (Index point = 0; point < prompts.points; ++point) {
      prompts.labels(prompt, point) += errors[static_cast<std::size_t>(point)];
    }
  }
}

/// The same for all prompts.
inline void add_label_noise(Prompts& prompts, double noise, Key key) {
  add_label_noise(prompts, 0, prompts.count, noise, key);
}

/// Settings of `NoisyLabels`.
struct NoisyLabelsSettings {
  double noise = 0.0;  ///< standard deviation of the noise that is added to every label
};

/// A task whose labels carry further independent noise; inputs and targets are those of the inner task.
template <Task Inner>
class NoisyLabels {
 public:
  using Settings = NoisyLabelsSettings;

  /// \throws ConfigurationError if the noise is negative or not finite
  explicit NoisyLabels(Inner task, NoisyLabelsSettings settings = {}) : task_(std::move(task)), settings_(settings) {
    require(std::isfinite(settings.noise) && settings.noise >= 0.0, "NoisyLabels: noise is ", settings.noise,
            ", expected a finite standard deviation of at least 0");
  }

  /// `count` prompts; the noise does not change the other numbers that a key gives.
  [[nodiscard]] Prompts sample(Key key, Index count, ExecutorReference executor = {}) const {
    // The inner task gets a key of its own: with the same one, two wrappers around each other would add the same noise.
    Prompts prompts = sample_on(executor, task_, key.fold("inner"), count);
    run_in_parts(executor, count, parts_of_sample, [&](Index first, Index last) {
      add_label_noise(prompts, first, last, settings_.noise, key.fold("noise"));
    });
    prompts.key = key;
    return prompts;
  }

  [[nodiscard]] Extent extent() const requires RestrictableTask<Inner> { return task_.extent(); }
  [[nodiscard]] auto restricted(Extent extent) const requires RestrictableTask<Inner> {
    return NoisyLabels<decltype(task_.restricted(extent))>(task_.restricted(extent), settings_);
  }

  [[nodiscard]] const Inner& inner() const { return task_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  Inner task_;
  Settings settings_;
};

/// `task` with independent N(0, noise^2) numbers added to its labels.
/// \throws ConfigurationError if the noise is negative or not finite
template <Task Inner>
[[nodiscard]] NoisyLabels<Inner> with_noise(Inner task, double noise) {
  return NoisyLabels<Inner>(std::move(task), {.noise = noise});
}

INCONTEXT_NAMESPACE_END
