#pragma once
/// \file
/// Decoupled weight decay (Loshchilov and Hutter 2019), on the parameters whose names match.

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Adds decay * parameter to the updates. Placed before `rate` it is decoupled decay, as in AdamW; placed before
/// `adam` it is the L2 penalty.
class WeightDecay {
 public:
  template <class Scalar>
  struct State {
    std::vector<ParameterEntry> entries;
  };

  /// `patterns` name what decays; the default is everything. To spare biases and norms, name the weights:
  /// {"*.c_*.weight", "read_*.weight"}.
  /// \throws ConfigurationError if decay is negative or not finite; at `init`, if a pattern matches nothing
  explicit WeightDecay(double decay, std::vector<std::string> patterns = {"*"})
      : decay_(decay), patterns_(std::move(patterns)) {
    require(std::isfinite(decay) && decay >= 0.0, "weight_decay: decay is ", decay,
            ", expected a finite number of at least 0");
  }
  template <class Scalar>
  [[nodiscard]] State<Scalar> init(const std::shared_ptr<const ParameterLayout>& layout) const {
    return {layout->matching(patterns_)};
  }
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>& parameters, Index,
              State<Scalar>& state) const {
    const auto decay = static_cast<Scalar>(decay_);
    for (const ParameterEntry& entry : state.entries) {
      for (Index index = entry.offset; index < entry.offset + entry.size; ++index) {
        updates.data()[index] += decay * parameters.data()[index];
      }
    }
  }
  template <class State, class Visitor>
  void visit(State&, Visitor&&) const {}
  [[nodiscard]] std::string describe() const {
    std::string description = text("weight_decay(", decay_);
    for (const std::string& pattern : patterns_) {
      description += ", " + pattern;
    }
    return description + ")";
  }

 private:
  double decay_;
  std::vector<std::string> patterns_;
};

/// Decoupled weight decay of everything, or of what the patterns name.
[[nodiscard]] inline WeightDecay weight_decay(double decay, std::vector<std::string> patterns = {"*"}) {
  return WeightDecay(decay, std::move(patterns));
}

INCONTEXT_NAMESPACE_END
