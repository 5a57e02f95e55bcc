#pragma once
/// \file
/// What a gradient transform is. An optimiser is a chain of them, as in optax: each turns the gradient, or what the
/// ones before made of it, into something nearer the update that is added to the parameters.

#include "incontext/core/config.hpp"
#include "incontext/core/executor.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <concepts>
#include <cstddef>
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

/// Slices of a buffer at most.
inline constexpr std::size_t most_slices = 8;

/// Calls `work(first, last, slice)` for slices of a buffer of `size` scalars, whole cache lines each. A small buffer is
/// one slice: it is done before another thread has begun.
template <class Work>
inline void for_each_slice(ExecutorReference executor, Index size, const Work& work) {
  constexpr Index line = 16;  // a buffer is a multiple of it
  const Index lines = size / line;
  const Index slices = size < Index{1} << 17 ? 1 : static_cast<Index>(most_slices);
  executor.run(slices,
               [&](Index slice) { work(lines * slice / slices * line, lines * (slice + 1) / slices * line, slice); });
}

/// updates *= factor.
template <class Scalar>
inline void scale(ParameterBuffer<Scalar>& updates, Scalar factor, ExecutorReference executor) {
  for_each_slice(executor, updates.size(),
                 [&](Index first, Index last, Index) { scale_row(last - first, factor, updates.data() + first); });
}

/// `transform.update(updates, parameters, step, state)`, on the executor's threads where the transform takes one as a
/// further argument.
template <GradientTransform Transform, class Scalar, class State>
inline void update_on(ExecutorReference executor, const Transform& transform, ParameterBuffer<Scalar>& updates,
                      const ParameterBuffer<Scalar>& parameters, Index step, State& state) {
  if constexpr (requires { transform.update(updates, parameters, step, state, executor); }) {
    transform.update(updates, parameters, step, state, executor);
  } else {
    transform.update(updates, parameters, step, state);
  }
}

INCONTEXT_NAMESPACE_END
