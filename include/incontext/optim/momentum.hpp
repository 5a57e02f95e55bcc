#pragma once
/// \file
/// Heavy-ball momentum (Polyak 1964), as PyTorch's SGD has it. Without it, SGD is `rate` alone.

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// velocity = decay * velocity + gradient; the update is the velocity.
class Momentum {
 public:
  template <class Scalar>
  struct State {
    ParameterBuffer<Scalar> velocity;
  };

  /// \throws ConfigurationError if decay is outside [0, 1)
  explicit Momentum(double decay) : decay_(decay) {
    require(decay >= 0.0 && decay < 1.0, "momentum: decay is ", decay, ", expected within [0, 1)");
  }
  template <class Scalar>
  [[nodiscard]] State<Scalar> init(const std::shared_ptr<const ParameterLayout>& layout) const {
    return {ParameterBuffer<Scalar>(layout)};
  }
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index, State<Scalar>& state) const {
    state.velocity *= static_cast<Scalar>(decay_);
    state.velocity += updates;
    std::copy(state.velocity.values().begin(), state.velocity.values().end(), updates.values().begin());
  }
  template <class State, class Visitor>
  void visit(State& state, Visitor&& visitor) const {
    visitor("momentum.velocity", state.velocity);
  }
  [[nodiscard]] std::string describe() const { return text("momentum(", decay_, ")"); }

 private:
  double decay_;
};

/// SGD with momentum is chain(momentum(0.9), rate(...)).
[[nodiscard]] inline Momentum momentum(double decay) { return Momentum(decay); }

INCONTEXT_NAMESPACE_END
