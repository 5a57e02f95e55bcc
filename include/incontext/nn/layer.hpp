#pragma once
/// \file
/// What a layer is: it declares its parameters, runs forward into an explicit cache, and runs backward from it.

#include "incontext/core/matrix.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/weights.hpp"

#include <concepts>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

/// How the rows of a tall matrix fall into sequences: row s * tokens + t is token t of sequence s.
struct SequenceShape {
  Index sequences = 0;
  Index tokens = 0;
  [[nodiscard]] Index rows() const { return sequences * tokens; }
};

/// A layer maps [rows, inputs] to [rows, outputs], many sequences at once as one tall matrix.
///
/// `forward` leaves in the cache what `backward` needs, so the layer itself is constant while it runs. `backward` adds
/// the gradient of its parameters to `gradients` and returns the gradient of its input. Views that they return live in
/// the workspace until it is reset. The views that were given to `forward` must outlive `backward`.
template <class Type, class Scalar>
concept Layer = requires(const Type& layer, Weights<Scalar> weights, Scalar* gradients, SequenceShape shape,
                         MatrixView<const Scalar> view, typename Type::template Cache<Scalar>& cache,
                         Workspace<Scalar>& workspace) {
  { layer.forward(weights, shape, view, cache, workspace) } -> std::convertible_to<MatrixView<const Scalar>>;
  { layer.backward(weights, shape, view, cache, gradients, workspace) } -> std::same_as<MatrixView<Scalar>>;
};

/// A parameter type that is not deduced, so that a pointer to the flat buffer passes for `Weights`.
template <class Scalar>
using WeightsOf = std::type_identity_t<Weights<Scalar>>;

/// A vector parameter, [size].
template <class Scalar>
[[nodiscard]] inline Scalar* vector_of(Scalar* buffer, ParameterId id) {
  return buffer + id.offset;
}

/// A matrix parameter, [rows, columns].
template <class Scalar>
[[nodiscard]] inline MatrixView<Scalar> matrix_of(Scalar* buffer, ParameterId id, Index rows) {
  return {buffer + id.offset, rows, id.size / rows};
}

INCONTEXT_NAMESPACE_END
