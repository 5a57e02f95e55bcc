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
        outputs_(outputs),
        weight_(layout.declare(name + ".weight", {inputs, outputs})),
        bias_(layout.declare(name + ".bias", {outputs})) {}

  /// The layer of the outputs [first, first + count) alone. Its parameters are that part of this one's.
  [[nodiscard]] Linear part(Index first, Index count) const {
    Linear some = *this;
    some.first_ = first_ + first;
    some.outputs_ = count;
    return some;
  }

  [[nodiscard]] ParameterId weight() const { return weight_; }
  [[nodiscard]] ParameterId bias() const { return bias_; }
  [[nodiscard]] Index outputs() const { return outputs_; }
  /// The matrix that products read, of all outputs.
  [[nodiscard]] WeightMatrix weight_matrix() const { return {weight_, inputs_, bias_.size}; }
  /// W as a right operand, in the workspace where it is not packed yet.
  template <class Scalar>
  [[nodiscard]] PackedOperand<Scalar> packed(const Weights<Scalar>& weights, Orientation orientation,
                                             Workspace<Scalar>& workspace) const {
    if (first_ % block_size == 0 && (outputs_ % block_size == 0 || first_ + outputs_ == bias_.size)) {
      const PackedOperand<Scalar> whole = weights.packed(weight_, inputs_, orientation, workspace);
      return orientation == Orientation::as_stored ? whole.part_of_columns(first_, outputs_)
                                                   : whole.part_of_inner(first_, outputs_);
    }
    return right_operand(weights.precision(), weights.matrix(weight_, inputs_).block(0, first_, inputs_, outputs_),
                         orientation, workspace);
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
    multiply<Scalar>(input, packed(weights, Orientation::as_stored, workspace), output,
                     {weights.vector(bias_) + first_, addend}, workspace);
    workspace.release(mark);
    return output;
  }

  /// dx = dy W', db += 1' dy, dW += x' dy.
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.input, weights, shape, d_output, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept. With an addend of the input's shape, dx is added to
  /// it.
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, Scalar* gradients,
                                   Workspace<Scalar>& workspace,
                                   std::type_identity_t<MatrixView<const Scalar>> addend = {}) const {
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), inputs_);
    const auto mark = workspace.mark();
    multiply<Scalar>(d_output, packed(weights, Orientation::transposed, workspace), d_input, {nullptr, addend},
                     workspace);
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_) + first_);
    const MatrixView<Scalar> d_weight = matrix_of(gradients, weight_, inputs_).block(0, first_, inputs_, outputs_);
    add_transposed_product<Scalar>(weights.precision(), input, d_output, d_weight, workspace);
    workspace.release(mark);
    return d_input;
  }

 private:
  Index inputs_ = 0;
  Index first_ = 0;  // of the outputs that the parameters are for
  Index outputs_ = 0;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
