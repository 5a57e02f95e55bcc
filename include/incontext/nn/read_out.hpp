#pragma once
/// \file
/// The last layer: y = x W' + b with W as [outputs, inputs], PyTorch's Linear.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// [rows, width] -> [rows, outputs]: one output for regression, the vocabulary's logits for token models. Computed in
/// the scalar itself whatever the precision: it is a small part of the work, and its outputs are the predictions.
class ReadOut {
 public:
  template <class Scalar>
  struct Cache {
    MatrixView<const Scalar> input;  // [rows, width]
  };

  ReadOut() = default;
  ReadOut(ParameterLayout& layout, const std::string& name, Index width, Index outputs)
      : width_(width),
        weight_(layout.declare(name + ".weight", {outputs, width})),
        bias_(layout.declare(name + ".bias", {outputs})) {}

  [[nodiscard]] ParameterId weight() const { return weight_; }
  [[nodiscard]] ParameterId bias() const { return bias_; }

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    cache.input = input;
    const MatrixView<Scalar> output = workspace.take(shape.rows(), bias_.size);
    const auto mark = workspace.mark();
    const auto panels =
        pack(weights.matrix(weight_, bias_.size),
             workspace.take(1, PackedPanels<Scalar>::size(width_, bias_.size)).data, Orientation::transposed);
    multiply<Scalar>(input, panels, output, {weights.vector(bias_)});
    workspace.release(mark);
    return output;
  }

  /// dW += dy' x, db += 1' dy, dx = dy W.
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_weight = matrix_of(gradients, weight_, bias_.size);
    multiply_transposed_left<Scalar>(d_output, cache.input, d_weight, {nullptr, d_weight}, workspace);
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width_);
    const auto mark = workspace.mark();
    const auto panels = pack(weights.matrix(weight_, bias_.size),
                             workspace.take(1, PackedPanels<Scalar>::size(bias_.size, width_)).data);
    multiply<Scalar>(d_output, panels, d_input);
    workspace.release(mark);
    return d_input;
  }

 private:
  Index width_ = 0;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
