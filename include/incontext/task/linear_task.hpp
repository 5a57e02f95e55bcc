#pragma once
/// \file
/// Linear functions in context, for any distribution of the weights. A new function class is a new `WeightPrior`.

#include "incontext/task/multiply_inputs.hpp"
#include "incontext/task/noise.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Settings of every linear task.
struct LinearSettings {
  Index dimension = 8;        ///< coordinates of an input
  Index points = 17;          ///< points of a prompt: a query after 0, 1, ..., points - 1 exemplars
  double noise = 0.0;         ///< sigma, the standard deviation of the noise on a label
  double weight_scale = 1.0;  ///< tau, the standard deviation of a weight; each prior says what it makes of it
  /// A, [dimension, dimension]: an input is x = A z with z ~ N(0, I), so that its covariance is A A'.
  /// Empty means the identity.
  RowMatrix<double> input_factor = {};
};

/// A distribution of weight vectors. `draw` gives one of settings.dimension entries and takes all its randomness from
/// the stream. A prior that has demands on the settings states them in `void check(const LinearSettings&) const`,
/// which every task calls when it is made.
template <class Type>
concept WeightPrior = std::copy_constructible<Type> &&
    requires(const Type& prior, Stream& stream, const LinearSettings& settings) {
  { prior.draw(stream, settings) } -> std::convertible_to<Vector>;
};

/// y = w.x + N(0, sigma^2) with x ~ N(0, A A') and one w from the prior for every prompt.
///
/// Prompt i draws its weights, inputs and noise from key.fold("task"), key.fold("data") and key.fold("noise"), each
/// folded with i: changing the noise or the prior leaves the inputs as they were.
template <WeightPrior Prior>
class LinearTask {
 public:
  using Settings = LinearSettings;

  /// \throws ConfigurationError if a size is below 1, a scale is out of range, or the prior does not fit the settings
  /// \throws ShapeError if the input factor is neither empty nor [dimension, dimension]
  explicit LinearTask(LinearSettings settings, Prior prior = Prior())
      : settings_(std::move(settings)),
        prior_(std::move(prior)),
        extent_{.dimension = settings_.dimension, .points = settings_.points} {
    const Index dimension = settings_.dimension;
    require(dimension >= 1, "LinearTask: dimension is ", dimension, ", expected at least 1");
    require(settings_.points >= 1, "LinearTask: points is ", settings_.points, ", expected at least 1");
    require(std::isfinite(settings_.noise) && settings_.noise >= 0.0, "LinearTask: noise is ", settings_.noise,
            ", expected a finite standard deviation of at least 0");
    require(std::isfinite(settings_.weight_scale) && settings_.weight_scale > 0.0, "LinearTask: weight_scale is ",
            settings_.weight_scale, ", expected a finite standard deviation above 0");
    const RowMatrix<double>& factor = settings_.input_factor;
    require<ShapeError>(factor.size() == 0 || (factor.rows() == dimension && factor.cols() == dimension),
                        "LinearTask: input_factor is [", factor.rows(), ", ", factor.cols(), "], expected [", dimension,
                        ", ", dimension, "], or empty for the identity");
    require(is_finite(factor), "LinearTask: input_factor has an entry that is not finite");
    if constexpr (requires { prior_.check(settings_); }) {
      prior_.check(settings_);
    }
  }

  /// `count` prompts, drawn on the threads of the executor.
  /// \throws ConfigurationError if count is negative
  /// \throws ShapeError if the prior draws a vector that does not have `dimension` entries
  [[nodiscard]] Prompts sample(Key key, Index count, ExecutorReference executor = {}) const {
    require(count >= 0, "LinearTask::sample: count is ", count, ", expected at least 0");
    Prompts prompts = Prompts::unfilled(count, extent_.points, settings_.dimension);
    prompts.key = key;
    run_in_parts(executor, count, parts_of_sample, [&](Index first, Index last) {
      draw_inputs(prompts, first, last, key.fold("data"));
      draw_targets(prompts, first, last, key.fold("task"));
      std::copy_n(prompts.targets.data() + first * prompts.points, (last - first) * prompts.points,
                  prompts.labels.data() + first * prompts.points);
      add_label_noise(prompts, first, last, settings_.noise, key.fold("noise"));
    });
    return prompts;
  }

  /// How many coordinates are not zero, and how many points a prompt has.
  [[nodiscard]] Extent extent() const { return extent_; }

  /// The same task with inputs that are zero from coordinate extent.dimension on, and prompts that end after
  /// extent.points. What remains has the bits of the whole task; the labels are those of the shortened inputs.
  /// \throws ConfigurationError if the extent is not within the present one, or a size is below 1
  [[nodiscard]] LinearTask restricted(Extent extent) const {
    require(extent.dimension >= 1 && extent.dimension <= extent_.dimension, "LinearTask::restricted: dimension is ",
            extent.dimension, ", expected 1 to ", extent_.dimension);
    require(extent.points >= 1 && extent.points <= extent_.points, "LinearTask::restricted: points is ", extent.points,
            ", expected 1 to ", extent_.points);
    LinearTask task = *this;
    task.extent_ = extent;
    return task;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Prior& prior() const { return prior_; }

  /// The weight vectors that a prompt may have, [tasks, dimension], where the prior is a finite pool.
  [[nodiscard]] const RowMatrix<double>& weights() const requires requires(const Prior& prior) { prior.weights(); }
  { return prior_.weights(); }

 private:
  // Both for the prompts [first, last).
  void draw_inputs(Prompts& prompts, Index first, Index last, Key key) const {
    const Index numbers = prompts.points * prompts.dimension;
    for (Index prompt = first; prompt < last; ++prompt) {
      Stream stream(key.fold(prompt));
      double* const inputs = prompts.inputs.data() + prompt * numbers;
      stream.fill_normal(inputs, inputs + numbers);
    }
    if (settings_.input_factor.size() > 0) {
      multiply_inputs(prompts.inputs, first * prompts.points, last * prompts.points, settings_.input_factor);
    }
    for (Index row = first * prompts.points; row < last * prompts.points; ++row) {
      double* const input = prompts.inputs.data() + row * prompts.dimension;
      std::fill(input + extent_.dimension, input + prompts.dimension, 0.0);
    }
  }

  void draw_targets(Prompts& prompts, Index first, Index last, Key key) const {
    for (Index prompt = first; prompt < last; ++prompt) {
      Stream stream(key.fold(prompt));
      const Vector weight = prior_.draw(stream, settings_);
      require<ShapeError>(weight.size() == prompts.dimension, "LinearTask::sample: the prior drew ", weight.size(),
                          " weights, expected ", prompts.dimension);
      for (Index point = 0; point < prompts.points; ++point) {
        // Summed in this order whatever the alignment of the row, which a vectorised sum may depend on.
        double target = 0.0;
        for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
          target += weight[coordinate] * prompts.inputs(prompt * prompts.points + point, coordinate);
        }
        prompts.targets(prompt, point) = target;
      }
    }
  }

  Settings settings_;
  Prior prior_;
  Extent extent_;
};

INCONTEXT_NAMESPACE_END
