#pragma once
/// \file
/// Adam (Kingma and Ba 2015, algorithm 1), without its learning rate: chain it with `rate`.

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"
#include "incontext/simd/batch.hpp"

#include <cmath>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// Hyperparameters of Adam; the defaults are the paper's and PyTorch's.
struct AdamSettings {
  double first_decay = 0.9;     ///< beta 1
  double second_decay = 0.999;  ///< beta 2
  double epsilon = 1e-8;
};

/// m / (sqrt(v) + epsilon) with both moments corrected for their start at zero.
class Adam {
 public:
  template <class Scalar>
  struct State {
    ParameterBuffer<Scalar> first_moment;
    ParameterBuffer<Scalar> second_moment;
  };

  /// \throws ConfigurationError if a decay is outside [0, 1) or epsilon is not positive
  explicit Adam(const AdamSettings& settings = {}) : settings_(settings) {
    const auto is_decay = [](double decay) { return decay >= 0.0 && decay < 1.0; };
    require(is_decay(settings.first_decay), "adam: first_decay is ", settings.first_decay, ", expected within [0, 1)");
    require(is_decay(settings.second_decay), "adam: second_decay is ", settings.second_decay,
            ", expected within [0, 1)");
    require(std::isfinite(settings.epsilon) && settings.epsilon > 0.0, "adam: epsilon is ", settings.epsilon,
            ", expected a finite number above 0");
  }

  template <class Scalar>
  [[nodiscard]] State<Scalar> init(const std::shared_ptr<const ParameterLayout>& layout) const {
    return {ParameterBuffer<Scalar>(layout), ParameterBuffer<Scalar>(layout)};
  }

  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index step, State<Scalar>& state,
              ExecutorReference executor = {}) const {
    const auto time = static_cast<double>(step + 1);
    const auto keep_first = static_cast<Scalar>(settings_.first_decay);
    const auto add_first = static_cast<Scalar>(1.0 - settings_.first_decay);
    const auto keep_second = static_cast<Scalar>(settings_.second_decay);
    const auto add_second = static_cast<Scalar>(1.0 - settings_.second_decay);
    const auto first_correction = static_cast<Scalar>(1.0 / (1.0 - std::pow(settings_.first_decay, time)));
    const auto second_correction = static_cast<Scalar>(1.0 / (1.0 - std::pow(settings_.second_decay, time)));
    const auto epsilon = static_cast<Scalar>(settings_.epsilon);
    using Values = Batch<Scalar>;
    Scalar* const values = updates.data();
    Scalar* const first_moments = state.first_moment.data();
    Scalar* const second_moments = state.second_moment.data();
    const auto update_slice = [=](Index begin, Index end, Index) {
      for (Index index = begin; index < end; index += batch_size<Scalar>) {  // slices are whole batches
        const auto gradient = Values::load_aligned(values + index);
        const auto first = keep_first * Values::load_aligned(first_moments + index) + add_first * gradient;
        const auto second =
            keep_second * Values::load_aligned(second_moments + index) + add_second * gradient * gradient;
        first.store_aligned(first_moments + index);
        second.store_aligned(second_moments + index);
        const Values update = first_correction * first / (xsimd::sqrt(second_correction * second) + epsilon);
        update.store_aligned(values + index);
      }
    };
    for_each_slice(executor, updates.size(), update_slice);
  }

  template <class State, class Visitor>
  void visit(State& state, Visitor&& visitor) const {
    visitor("adam.first_moment", state.first_moment);
    visitor("adam.second_moment", state.second_moment);
  }
  [[nodiscard]] std::string describe() const {
    return text("adam(", settings_.first_decay, ", ", settings_.second_decay, ", ", settings_.epsilon, ")");
  }

 private:
  AdamSettings settings_;
};

/// Adam's direction.
[[nodiscard]] inline Adam adam(const AdamSettings& settings = {}) { return Adam(settings); }

INCONTEXT_NAMESPACE_END
