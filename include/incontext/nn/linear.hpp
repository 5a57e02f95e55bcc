#pragma once
/// \file
/// The affine layer, y = x W + b, with W as [inputs, outputs]: the layout that GPT-2 calls Conv1D.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/packed_operand.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <string>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

/// y = x W + b on [rows, inputs] -> [rows, outputs]. Derivation of the backward: docs/derivations/linear.md.
class Linear {
 public:
  template <class Scalar>
  struct Cache {
    MatrixView<const Scalar> input;  // [rows, inputs]
  };

  Linear() = default;
  Linear(ParameterLayout& layout, const std::string& name, Index inputs, Index outputs)
      : inputs_(inputs),
        weight_(layout.declare(name + ".weight", {inputs, outputs})),
        bias_(layout.declare(name + ".bias", {outputs})) {}

  [[nodiscard]] ParameterId weight() const { return weight_; }
  [[nodiscard]] ParameterId bias() const { return bias_; }
  [[nodiscard]] Index outputs() const { return bias_.size; }
  /// The matrix that products read.
  [[nodiscard]] WeightMatrix weight_matrix() const { return {weight_, inputs_, outputs()}; }
  /// The same as a right operand, in the workspace where it is not packed yet.
  template <class Scalar>
  [[nodiscard]] PackedOperand<Scalar> packed(const Weights<Scalar>& weights, Orientation orientation,
                                             Workspace<Scalar>& workspace) const {
    return weights.packed(weight_, inputs_, orientation, workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    return forward_onto({}, weights, shape, input, cache, workspace);
  }

  /// addend + x W + b, with an addend of the output's shape or none.
  template <class Scalar>
  MatrixView<Scalar> forward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                  SequenceShape shape, MatrixView<const Scalar> input, Cache<Scalar>& cache,
                                  Workspace<Scalar>& workspace) const {
    cache.input = input;
    const MatrixView<Scalar> output = workspace.take(shape.rows(), outputs());
    const auto mark = workspace.mark();
    multiply<Scalar>(input, packed(weights, Orientation::as_stored, workspace), output, {weights.vector(bias_), addend},
                     workspace);
    workspace.release(mark);
    return output;
  }

  /// dx = dy W', db += 1' dy, dW += x' dy.
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.input, weights, shape, d_output, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept.
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, Scalar* gradients,
                                   Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), inputs_);
    const auto mark = workspace.mark();
    multiply<Scalar>(d_output, packed(weights, Orientation::transposed, workspace), d_input, {}, workspace);
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    add_transposed_product<Scalar>(weights.precision(), input, d_output, matrix_of(gradients, weight_, inputs_),
                                   workspace);
    workspace.release(mark);
    return d_input;
  }

 private:
  Index inputs_ = 0;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
