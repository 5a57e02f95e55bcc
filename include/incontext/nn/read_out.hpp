#pragma once
/// \file
/// The last layer: y = x W' + b with W as [outputs, inputs], PyTorch's Linear.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// [rows, width] -> [rows, outputs]: one output for regression, the vocabulary's logits for token models.
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
  MatrixView<Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    cache.input = input;
    // One output would leave the vectors empty: the product runs over padded columns, of which `outputs` are returned.
    const Index columns = padded<Scalar>(bias_.size);
    const MatrixView<Scalar> padded_output = workspace.take(shape.rows(), columns);
    const MatrixView<Scalar> output = padded_output.block(0, 0, shape.rows(), bias_.size);
    const auto mark = workspace.mark();
    const MatrixView<Scalar> transposed = workspace.take(width_, columns);
    transpose<Scalar>(matrix_of(parameters, weight_, bias_.size), transposed);
    multiply<Scalar>(input, transposed, padded_output);
    add_bias(vector_of(parameters, bias_), output);
    workspace.release(mark);
    return output;
  }

  /// dW += dy' x, db += 1' dy, dx = dy W.
  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    multiply_transposed_left_add<Scalar>(d_output, cache.input, matrix_of(gradients, weight_, bias_.size));
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width_);
    multiply<Scalar>(d_output, matrix_of(parameters, weight_, bias_.size), d_input);
    return d_input;
  }

 private:
  Index width_ = 0;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
