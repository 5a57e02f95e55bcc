#pragma once
/// \file
/// Norm policies: layer normalisation (Ba, Kiros, Hinton 2016) and none.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <cmath>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// y = gain * (x - mean) / sqrt(variance + epsilon) + bias, row by row. Derivation: docs/derivations/layer_norm.md.
class LayerNorm {
 public:
  /// As GPT-2.
  static constexpr double epsilon = 1e-5;

  template <class Scalar>
  struct Cache {
    MatrixView<Scalar> normalised;         // [rows, width]
    MatrixView<Scalar> inverse_deviation;  // [rows, 1]
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
  MatrixView<const Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                                   Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    using std::sqrt;
    const Index width = gain_.size;
    cache.normalised = workspace.take(shape.rows(), width);
    cache.inverse_deviation = workspace.take(shape.rows(), 1);
    const MatrixView<Scalar> output = workspace.take(shape.rows(), width);
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* x = input.row(row);
      const Scalar mean = scale * sum_row(
                                      width, [](const auto& value) { return value; }, x);
      const Scalar variance =
          scale * sum_row(
                      width, [mean](const auto& value) { return (value - mean) * (value - mean); }, x);
      const Scalar inverse = Scalar(1) / sqrt(variance + static_cast<Scalar>(epsilon));
      cache.inverse_deviation(row, 0) = inverse;
      transform_row(
          width, cache.normalised.row(row), [=](const auto& value) { return (value - mean) * inverse; }, x);
      transform_row(
          width, output.row(row),
          [](const auto& value, const auto& gain, const auto& bias) { return value * gain + bias; },
          static_cast<const Scalar*>(cache.normalised.row(row)), vector_of(parameters, gain_),
          vector_of(parameters, bias_));
    }
    return output;
  }

  /// With n the normalised row and e = gain * dy: dx = (e - mean(e) - n mean(e n)) / deviation.
  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index width = gain_.size;
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width);
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const Scalar* gain = vector_of(parameters, gain_);
    Scalar* d_gain = vector_of(gradients, gain_);
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* dy = d_output.row(row);
      const Scalar* n = cache.normalised.row(row);
      const Scalar inverse = cache.inverse_deviation(row, 0);
      const auto product = [](const auto& left, const auto& right) { return left * right; };
      const Scalar mean_e = scale * sum_row(width, product, dy, gain);
      const Scalar mean_en =
          scale *
          sum_row(
              width, [](const auto& d, const auto& g, const auto& value) { return d * g * value; }, dy, gain, n);
      transform_row(
          width, d_input.row(row),
          [=](const auto& d, const auto& g, const auto& value) { return inverse * (d * g - mean_e - value * mean_en); },
          dy, gain, n);
      transform_row(
          width, d_gain, [](const auto& sum, const auto& d, const auto& value) { return sum + d * value; },
          static_cast<const Scalar*>(d_gain), dy, n);
    }
    add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    return d_input;
  }

 private:
  ParameterId gain_;
  ParameterId bias_;
};

/// No normalisation: the identity.
class NoNorm {
 public:
  template <class Scalar>
  struct Cache {};

  NoNorm() = default;
  NoNorm(ParameterLayout&, const std::string&, Index) {}

  template <class Scalar>
  void initialise(Scalar*) const {}

  template <class Scalar>
  MatrixView<const Scalar> forward(const Scalar*, SequenceShape, MatrixView<const Scalar> input, Cache<Scalar>&,
                                   Workspace<Scalar>&) const {
    return input;
  }
  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar*, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>&, Scalar*, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), d_output.columns);
    for (Index row = 0; row < d_output.rows; ++row) {
      std::copy(d_output.row(row), d_output.row(row) + d_output.columns, d_input.row(row));
    }
    return d_input;
  }
};

INCONTEXT_NAMESPACE_END
