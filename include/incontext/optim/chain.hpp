#pragma once
/// \file
/// Composition of gradient transforms, left to right.

#include "incontext/core/error.hpp"
#include "incontext/optim/gradient_transform.hpp"

#include <string>
#include <tuple>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Applies its parts one after the other.
template <GradientTransform... Parts>
class Chain {
 public:
  template <class Scalar>
  using State = std::tuple<typename Parts::template State<Scalar>...>;

  explicit Chain(Parts... parts) : parts_(std::move(parts)...) {}

  template <class Scalar>
  [[nodiscard]] State<Scalar> init(const std::shared_ptr<const ParameterLayout>& layout) const {
    return std::apply([&](const Parts&... part) { return State<Scalar>{part.template init<Scalar>(layout)...}; },
                      parts_);
  }
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>& parameters, Index step,
              State<Scalar>& state, ExecutorReference executor = {}) const {
    for_each(state, [&](const auto& part, auto& its_state, std::size_t) {
      update_on(executor, part, updates, parameters, step, its_state);
    });
  }
  /// Names are prefixed with the part's place in the chain: "1.adam.first_moment".
  template <class State, class Visitor>
  void visit(State& state, Visitor&& visitor) const {
    for_each(state, [&](const auto& part, auto& its_state, std::size_t place) {
      part.visit(its_state, [&](std::string_view name, auto& buffer) { visitor(text(place, ".", name), buffer); });
    });
  }
  [[nodiscard]] std::string describe() const {
    std::string description = "chain(";
    std::apply(
        [&](const Parts&... part) {
          std::size_t place = 0;
          ((description += (place++ == 0 ? "" : ", ") + part.describe()), ...);
        },
        parts_);
    return description + ")";
  }

 private:
  template <class State, class Visit>
  void for_each(State& state, Visit&& visit) const {
    [&]<std::size_t... Places>(std::index_sequence<Places...>) {
      (visit(std::get<Places>(parts_), std::get<Places>(state), Places), ...);
    }
    (std::index_sequence_for<Parts...>{});
  }
  std::tuple<Parts...> parts_;
};

/// chain(clip_norm(1.0), adam(), rate(1e-3)).
template <GradientTransform... Parts>
[[nodiscard]] Chain<Parts...> chain(Parts... parts) {
  return Chain<Parts...>(std::move(parts)...);
}

INCONTEXT_NAMESPACE_END
