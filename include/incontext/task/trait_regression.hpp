#pragma once
/// \file
/// In-context regression whose answers show traits: the first turns the sign, the second adds a constant.

#include "incontext/core/error.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/traits.hpp"

#include <cmath>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// y = w.x; of the last point, the query, the answer is (A ? -y : y) + c B. Exemplars show nothing, so that the context
/// tells w and only the prompt tells the traits; with `traits_in_context` their labels show the traits as well, and
/// they can be inferred. A topic can have an effect of its own on the answer, kappa (x_1^2 - 1), which is orthogonal to
/// both traits: a model then has to read topics that ask for no trait, too.
class TraitRegression {
 public:
  struct Settings {
    LinearSettings regression = {};
    double offset = 1.5;  ///< c
    bool traits_in_context = false;
    /// kappa by instruction token; tokens beyond its end have none.
    std::vector<double> topic_effects = {};
  };
  static constexpr Index sign = 0;   ///< trait A
  static constexpr Index shift = 1;  ///< trait B

  /// \throws ConfigurationError if the offset is not finite and above 0, or the regression's settings make no sense
  explicit TraitRegression(Settings settings) : settings_(std::move(settings)), regression_(settings_.regression) {
    require(std::isfinite(settings_.offset) && settings_.offset > 0.0, "TraitRegression: offset is ", settings_.offset,
            ", expected a finite number above 0");
  }

  [[nodiscard]] Prompts sample(Key key, Index count) const { return regression_.sample(key, count); }

  /// (A ? -y : y) + c B, of a plain answer y.
  [[nodiscard]] double shown(double answer, TraitSet traits) const {
    return (shows(traits, sign) ? -answer : answer) + (shows(traits, shift) ? settings_.offset : 0.0);
  }

  /// Label and target of the query, and with `traits_in_context` of every point.
  void show(Prompts& prompts, Index prompt, TraitSet traits, const int* instruction) const {
    const Index query = prompts.points - 1;
    for (Index point = settings_.traits_in_context ? 0 : query; point <= query; ++point) {
      for (double* value : {&prompts.labels(prompt, point), &prompts.targets(prompt, point)}) {
        *value = shown(*value, traits);
      }
    }
    const double first = *prompts.input(prompt, query);
    const double effect = effect_of(instruction) * (first * first - 1.0);
    prompts.labels(prompt, query) += effect;
    prompts.targets(prompt, query) += effect;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  [[nodiscard]] double effect_of(const int* instruction) const {
    double effect = 0.0;
    for (std::size_t slot = 0; slot < prompt_slots; ++slot) {
      const auto token = static_cast<std::size_t>(instruction[slot]);
      effect += token < settings_.topic_effects.size() ? settings_.topic_effects[token] : 0.0;
    }
    return effect;
  }

  Settings settings_;
  LinearRegression regression_;
};

INCONTEXT_NAMESPACE_END
