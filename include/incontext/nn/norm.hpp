#pragma once
/// \file
/// Norm policies: layer normalisation (Ba, Kiros, Hinton 2016) and none.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <cmath>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// addend + the norm's backward, in one pass where the norm has `backward_onto`.
template <class Norm, class Scalar>
[[nodiscard]] inline MatrixView<Scalar> norm_backward_onto(const Norm& norm,
                                                           std::type_identity_t<MatrixView<const Scalar>> addend,
                                                           WeightsOf<Scalar> weights, SequenceShape shape,
                                                           MatrixView<const Scalar> d_output,
                                                           const typename Norm::template Cache<Scalar>& cache,
                                                           Scalar* gradients, Workspace<Scalar>& workspace) {
  if constexpr (requires { norm.backward_onto(addend, weights, shape, d_output, cache, gradients, workspace); }) {
    return norm.backward_onto(addend, weights, shape, d_output, cache, gradients, workspace);
  } else {
    const MatrixView<Scalar> d_input = norm.backward(weights, shape, d_output, cache, gradients, workspace);
    add_matrix(addend, d_input);
    return d_input;
  }
}

/// y = gain * (x - mean) / sqrt(variance + epsilon) + bias, row by row. The output is temporary: whoever needs it again
/// in the backward has it by `reapply`, which costs less than reading it back from memory. Derivation:
/// docs/derivations/layer_norm.md.
class LayerNorm {
 public:
  /// As GPT-2.
  static constexpr double epsilon = 1e-5;

  template <class Scalar>
  struct Cache {
    MatrixView<const Scalar> input;  // [rows, width]
    MatrixView<Scalar> moments;      // [rows, 2]: the mean and the inverse deviation of every row
  };

  LayerNorm() = default;
  LayerNorm(ParameterLayout& layout, const std::string& name, Index width)
      : gain_(layout.declare(name + ".weight", {width})), bias_(layout.declare(name + ".bias", {width})) {}

  /// Gain one; the bias stays zero.
  template <class Scalar>
  void initialise(Scalar* parameters) const {
    std::fill(vector_of(parameters, gain_), vector_of(parameters, gain_) + gain_.size, Scalar(1));
  }

  template <class Scalar>
  MatrixView<const Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                                   Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    using std::sqrt;
    const Index width = gain_.size;
    cache.input = input;
    cache.moments = workspace.take(shape.rows(), 2);
    const MatrixView<Scalar> output = workspace.temporary().take(shape.rows(), width);
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* x = input.row(row);
      const auto itself = [](const auto& value) { return value; };
      const Scalar mean = scale * sum_row(width, itself, x);
      const auto squared_distance = [mean](const auto& value) { return (value - mean) * (value - mean); };
      const Scalar variance = scale * sum_row(width, squared_distance, x);
      const Scalar inverse = Scalar(1) / sqrt(variance + static_cast<Scalar>(epsilon));
      cache.moments(row, 0) = mean;
      cache.moments(row, 1) = inverse;
      apply_row(weights, mean, inverse, x, output.row(row));
    }
    return output;
  }

  /// The output of `forward` again, to its bits, from the moments that it kept.
  template <class Scalar>
  MatrixView<const Scalar> reapply(WeightsOf<Scalar> weights, const Cache<Scalar>& cache,
                                   Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> output = workspace.take(cache.input.rows, gain_.size);
    for (Index row = 0; row < output.rows; ++row) {
      apply_row(weights, cache.moments(row, 0), cache.moments(row, 1), cache.input.row(row), output.row(row));
    }
    return output;
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_onto({}, weights, shape, d_output, cache, gradients, workspace);
  }

  /// With n the normalised row and e = gain * dy: dx = addend + (e - mean(e) - n mean(e n)) / deviation. The addend has
  /// the shape of dx, or is none.
  template <class Scalar>
  MatrixView<Scalar> backward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index width = gain_.size;
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width);
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const Scalar* gain = weights.vector(gain_);
    Scalar* d_gain = vector_of(gradients, gain_);
    Scalar* d_bias = vector_of(gradients, bias_);
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* dy = d_output.row(row);
      const Scalar* x = cache.input.row(row);
      const Scalar mean = cache.moments(row, 0);
      const Scalar inverse = cache.moments(row, 1);
      const auto product = [](const auto& left, const auto& right) { return left * right; };
      const Scalar mean_e = scale * sum_row(width, product, dy, gain);
      const auto with_normalised = [mean](const auto& d, const auto& g, const auto& value) {
        return d * g * (value - mean);
      };
      const Scalar mean_en = scale * inverse * sum_row(width, with_normalised, dy, gain, x);
      for_each_register<Scalar>(width, [&](const auto& lanes, Index index) {
        const auto d = lanes.load(dy + index);
        const auto n = (lanes.load(x + index) - mean) * inverse;
        const auto d_x = (d * lanes.load(gain + index) - mean_e - n * mean_en) * inverse;
        lanes.store(addend.data == nullptr ? d_x : d_x + lanes.load(addend.row(row) + index), d_input.row(row) + index);
        lanes.store(lanes.load(d_gain + index) + d * n, d_gain + index);
        lanes.store(lanes.load(d_bias + index) + d, d_bias + index);
      });
    }
    return d_input;
  }

 private:
  template <class Scalar>
  void apply_row(const Weights<Scalar>& weights, Scalar mean, Scalar inverse, const Scalar* x, Scalar* output) const {
    const auto apply = [mean, inverse](const auto& value, const auto& gain, const auto& bias) {
      return (value - mean) * inverse * gain + bias;
    };
    transform_row(gain_.size, output, apply, x, weights.vector(gain_), weights.vector(bias_));
  }

  ParameterId gain_;
  ParameterId bias_;
};

/// No normalisation: the identity.
class NoNorm {
 public:
  template <class Scalar>
  struct Cache {
    MatrixView<const Scalar> input;  // [rows, width]
  };

  NoNorm() = default;
  NoNorm(ParameterLayout&, const std::string&, Index) {}

  template <class Scalar>
  void initialise(Scalar*) const {}

  template <class Scalar>
  MatrixView<const Scalar> forward(WeightsOf<Scalar>, SequenceShape, MatrixView<const Scalar> input,
                                   Cache<Scalar>& cache, Workspace<Scalar>&) const {
    cache.input = input;
    return input;
  }
  template <class Scalar>
  MatrixView<const Scalar> reapply(WeightsOf<Scalar>, const Cache<Scalar>& cache, Workspace<Scalar>&) const {
    return cache.input;
  }
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar>, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>&, Scalar*, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), d_output.columns);
    copy_matrix<Scalar>(d_output, d_input);
    return d_input;
  }
};

INCONTEXT_NAMESPACE_END
