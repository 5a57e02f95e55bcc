#pragma once
/// \file
/// The learning rate: the last link of a chain.

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"
#include "incontext/optim/schedule.hpp"

#include <string>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// updates *= -schedule(step): from here on they point downhill and can be added to the parameters.
template <Schedule Kind>
class Rate : public StatelessTransform {
 public:
  explicit Rate(Kind schedule) : schedule_(std::move(schedule)) {}
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index step, State<Scalar>&,
              ExecutorReference executor = {}) const {
    scale(updates, static_cast<Scalar>(-schedule_(step)), executor);
  }
  [[nodiscard]] std::string describe() const { return "rate(" + schedule_.describe() + ")"; }

 private:
  Kind schedule_;
};

/// rate(cosine(1e-3, 10'000)).
template <Schedule Kind>
[[nodiscard]] Rate<Kind> rate(Kind schedule) {
  return Rate<Kind>(std::move(schedule));
}
/// rate(1e-3): the same at every step.
[[nodiscard]] inline Rate<Constant> rate(double value) { return Rate<Constant>(Constant(value)); }

INCONTEXT_NAMESPACE_END
