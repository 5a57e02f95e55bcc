#pragma once
/// \file
/// What a gradient transform is. An optimiser is a chain of them, as in optax: each turns the gradient, or what the
/// ones before made of it, into something nearer the update that is added to the parameters.

#include "incontext/core/config.hpp"
#include "incontext/core/parameters.hpp"

#include <concepts>
#include <string>
#include <string_view>

INCONTEXT_NAMESPACE_BEGIN

/// A gradient transform: hyperparameters, and a nested `State` that is made when an optimisation starts.
///
/// `update` works in place on `updates`, given the parameters and the number of steps done before this one.
/// `visit` shows every buffer of the state with its name, for checkpoints. `describe` names the transform and its
/// hyperparameters, so that a checkpoint can tell that it belongs to another optimiser.
template <class Type>
concept GradientTransform = std::copy_constructible<Type> &&
    requires(const Type& transform, const std::shared_ptr<const ParameterLayout>& layout,
             typename Type::template State<float>& state, ParameterBuffer<float>& updates,
             const ParameterBuffer<float>& parameters, Index step) {
  { transform.template init<float>(layout) } -> std::same_as<typename Type::template State<float>>;
  {transform.update(updates, parameters, step, state)};
  {transform.visit(state, [](std::string_view, ParameterBuffer<float>&) {})};
  { transform.describe() } -> std::convertible_to<std::string>;
};

/// The base of transforms that remember nothing.
struct StatelessTransform {
  template <class Scalar>
  struct State {};
  template <class Scalar>
  [[nodiscard]] State<Scalar> init(const std::shared_ptr<const ParameterLayout>&) const {
    return {};
  }
  template <class State, class Visitor>
  void visit(State&, Visitor&&) const {}
};

INCONTEXT_NAMESPACE_END
