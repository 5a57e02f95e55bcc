#pragma once
/// \file
/// Mixtures of tasks: every example comes from one of several tasks, chosen at random.

#include "incontext/core/choice.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

template <class First, class... Others>
inline constexpr bool of_one_medium = (std::same_as<BatchOf<First>, BatchOf<Others>> && ...);

}  // namespace detail

/// Each example comes from task c with probability proportional to weight c, independently of all others. The tasks may
/// be of different types; they have to be of one medium, and their examples of one shape: prompts have to agree in
/// points, dimension and number of instruction tokens.
template <Task... Tasks>
requires(sizeof...(Tasks) >= 1 && detail::of_one_medium<Tasks...>) class Mixture {
 public:
  using batch_type = BatchOf<std::tuple_element_t<0, std::tuple<Tasks...>>>;

  /// `Mixture{{0.2, 0.3, 0.5}, first, second, third}`. The weights are normalised to sum to 1.
  /// \throws ConfigurationError if a weight is negative or not finite, if they do not have a positive finite sum, or if
  ///         their number is not that of the tasks
  /// \throws ShapeError if the tasks state different extents
  explicit Mixture(std::vector<double> weights, Tasks... tasks)
      : weights_(std::move(weights)), tasks_(std::move(tasks)...) {
    require(weights_.size() == sizeof...(Tasks), "Mixture: ", weights_.size(), " weights for ", sizeof...(Tasks),
            " tasks");
    double sum = 0.0;
    for (std::size_t component = 0; component < weights_.size(); ++component) {
      require(std::isfinite(weights_[component]) && weights_[component] >= 0.0, "Mixture: weight ", component, " is ",
              weights_[component], ", expected a finite number of at least 0");
      sum += weights_[component];
    }
    require(std::isfinite(sum) && sum > 0.0, "Mixture: the weights sum to ", sum, ", expected a finite number above 0");
    for (double& weight : weights_) {
      weight /= sum;
    }
    check_extents();
  }

  /// `count` examples.
  /// \throws ConfigurationError if count is negative
  /// \throws ShapeError if the examples of the tasks differ in shape: in points, say, or the number of instruction
  /// tokens
  [[nodiscard]] batch_type sample(Key key, Index count, ExecutorReference executor = {}) const {
    const std::vector<Index> chosen = components(key, count);
    // Component c is one batch, whose j-th example is the j-th that falls to c. It is sampled even when it is empty, so
    // that tasks that do not fit are noticed whatever the draw; and one after the other, for at most one is kept.
    batch_type batch;
    const auto place = [&](const auto& task, Index component) {
      const Index number = std::count(chosen.begin(), chosen.end(), component);
      const auto part = sample_on(executor, task, key.fold("component").fold(component), number);
      if (component == 0) {
        batch = part.resized(count);
        batch.key = key;
      }
      batch.check_mixable(part);
      Index next = 0;
      for (Index example = 0; example < count; ++example) {
        if (chosen[static_cast<std::size_t>(example)] == component) {
          batch.replace(example, part, next++);
        }
      }
    };
    std::apply(
        [&](const Tasks&... tasks) {
          Index component = 0;
          (place(tasks, component++), ...);
        },
        tasks_);
    return batch;
  }

  /// Which task each prompt of `sample(key, count)` comes from, [count].
  /// \throws ConfigurationError if count is negative
  [[nodiscard]] std::vector<Index> components(Key key, Index count) const {
    require(count >= 0, "Mixture: count is ", count, ", expected at least 0");
    Stream stream(key.fold("choice"));
    std::vector<Index> chosen(static_cast<std::size_t>(count));
    for (Index& component : chosen) {
      component = static_cast<Index>(
          choice_at(stream.uniform(), weights_.size(), [&](std::size_t candidate) { return weights_[candidate]; }));
    }
    return chosen;
  }

  [[nodiscard]] Extent extent() const requires(RestrictableTask<Tasks>&&...) { return std::get<0>(tasks_).extent(); }

  /// The mixture of the restricted tasks; which task a prompt comes from stays the same.
  [[nodiscard]] auto restricted(Extent extent) const requires(RestrictableTask<Tasks>&&...) {
    return std::apply(
        [&](const Tasks&... tasks) {
          return Mixture<decltype(tasks.restricted(extent))...>(weights_, tasks.restricted(extent)...);
        },
        tasks_);
  }

  /// The probability of each task; they sum to 1 up to rounding.
  [[nodiscard]] const std::vector<double>& weights() const { return weights_; }
  [[nodiscard]] const std::tuple<Tasks...>& tasks() const { return tasks_; }

 private:
  void check_extents() const {
    std::optional<Extent> expected;
    std::apply([&](const Tasks&... tasks) { (check_extent(tasks, expected), ...); }, tasks_);
  }

  template <class Component>
  static void check_extent(const Component& task, std::optional<Extent>& expected) {
    if constexpr (RestrictableTask<Component>) {
      const Extent extent = task.extent();
      if (!expected) {
        expected = extent;
      }
      require<ShapeError>(extent == *expected, "Mixture: tasks of ", expected->points, " points in dimension ",
                          expected->dimension, " and of ", extent.points, " points in dimension ", extent.dimension,
                          " cannot be mixed");
    }
  }

  std::vector<double> weights_;
  std::tuple<Tasks...> tasks_;
};

/// D_mix = alpha `narrow` + (1 - alpha) `broad`: a prompt comes from `narrow` with probability `alpha`, which is
/// component 1 of the mixture, and from `broad`, component 0, otherwise.
/// \throws ConfigurationError if alpha is not in [0, 1]
/// \throws ShapeError if the tasks state different extents
template <Task Broad, TaskOf<BatchOf<Broad>> Narrow>
[[nodiscard]] Mixture<Broad, Narrow> mix(Broad broad, double alpha, Narrow narrow) {
  require(alpha >= 0.0 && alpha <= 1.0, "mix: alpha is ", alpha, ", expected a probability from 0 to 1");
  return Mixture<Broad, Narrow>({1.0 - alpha, alpha}, std::move(broad), std::move(narrow));
}

INCONTEXT_NAMESPACE_END
