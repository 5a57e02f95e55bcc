#pragma once
/// \file
/// The affine layer, y = x W + b, with W as [inputs, outputs]: the layout that GPT-2 calls Conv1D.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <string>

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

  template <class Scalar>
  MatrixView<Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    cache.input = input;
    const MatrixView<Scalar> output = workspace.take(shape.rows(), outputs());
    multiply<Scalar>(input, matrix_of(parameters, weight_, inputs_), output);
    add_bias(vector_of(parameters, bias_), output);
    return output;
  }

  /// dW += x' dy, db += 1' dy, dx = dy W'.
  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    multiply_transposed_left_add<Scalar>(cache.input, d_output, matrix_of(gradients, weight_, inputs_));
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), inputs_);
    const auto mark = workspace.mark();
    const MatrixView<Scalar> transposed = workspace.take(outputs(), inputs_);
    transpose<Scalar>(matrix_of(parameters, weight_, inputs_), transposed);
    multiply<Scalar>(d_output, transposed, d_input);
    workspace.release(mark);
    return d_input;
  }

 private:
  Index inputs_ = 0;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
