#pragma once
/// \file
/// Probes: what looks at the residual stream of a forward pass, or changes it.

#include "incontext/core/function_reference.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/nn/layer.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Called as `probe(layer, shape, stream)` with the residual stream, [rows, width]: at layer 0 behind the embedding, at
/// layer l behind block l. What the probe writes is what the next layer reads. A changed forward pass has no backward
/// pass.
template <class Scalar>
using ProbeReference = FunctionReference<void(Index, SequenceShape, MatrixView<Scalar>)>;

INCONTEXT_NAMESPACE_END
