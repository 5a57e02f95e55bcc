#pragma once
/// \file
/// Norm policies: layer normalisation (Ba, Kiros, Hinton 2016) and none.

#include "incontext/nn/layer.hpp"
#include "incontext/simd/registers.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

/// addend + the norm's backward, in one pass where the norm has `backward_onto`. It is written to `d_input`, which may
/// be the addend, or where that is none to the workspace.
template <class Norm, class Scalar>
[[nodiscard]] inline MatrixView<Scalar> norm_backward_onto(
    const Norm& norm, std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
    SequenceShape shape, MatrixView<const Scalar> d_output, const typename Norm::template Cache<Scalar>& cache,
    Scalar* gradients, Workspace<Scalar>& workspace, MatrixView<Scalar> d_input = {}) {
  if constexpr (requires {
                  norm.backward_onto(addend, weights, shape, d_output, cache, gradients, workspace, d_input);
                }) {
    return norm.backward_onto(addend, weights, shape, d_output, cache, gradients, workspace, d_input);
  } else {
    const MatrixView<Scalar> sum = norm.backward(weights, shape, d_output, cache, gradients, workspace);
    add_matrix(addend, sum);
    if (d_input.data == nullptr) {
      return sum;
    }
    copy_matrix<Scalar>(sum, d_input);
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
    const Index width = gain_.size;
    cache.input = input;
    cache.moments = workspace.take(shape.rows(), 2);
    const MatrixView<Scalar> output = workspace.temporary().take(shape.rows(), width);
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const Index together = rows_of_sweep<Scalar>(width);
    for (Index first = 0; first < shape.rows(); first += together) {
      const Index rows = (std::min)(together, shape.rows() - first);
      const MatrixView<const Scalar> x = input.block(first, 0, rows, width);
      ScalarOfSweep<Scalar> mean;
      sum_rows<Scalar, 1>(
          {mean.data()}, [](Index, auto& totals, const auto& value) { totals[0] += value; }, x);
      scale_row(rows, scale, mean.data());
      const auto add_squared_distance = [&mean](Index row, auto& totals, const auto& value) {
        const auto distance = value - mean[static_cast<std::size_t>(row)];
        totals[0] = fused_multiply_add(distance, distance, totals[0]);
      };
      ScalarOfSweep<Scalar> inverse;
      sum_rows<Scalar, 1>({inverse.data()}, add_squared_distance, x);
      const auto inverse_deviation = [scale](const auto& sum) {
        using std::sqrt;
        return Scalar(1) / sqrt(scale * sum + static_cast<Scalar>(epsilon));
      };
      transform_row(rows, inverse.data(), inverse_deviation, static_cast<const Scalar*>(inverse.data()));
      for (Index row = 0; row < rows; ++row) {
        cache.moments(first + row, 0) = mean[static_cast<std::size_t>(row)];
        cache.moments(first + row, 1) = inverse[static_cast<std::size_t>(row)];
      }
      apply(weights, cache, first, rows, output);
    }
    return output;
  }

  /// The output of `forward` again, to its bits, from the moments that it kept.
  template <class Scalar>
  MatrixView<const Scalar> reapply(WeightsOf<Scalar> weights, const Cache<Scalar>& cache,
                                   Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> output = workspace.take(cache.input.rows, gain_.size);
    apply(weights, cache, 0, output.rows, output);
    return output;
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_onto({}, weights, shape, d_output, cache, gradients, workspace);
  }

  /// With n the normalised row and e = gain * dy: dx = addend + (e - mean(e) - n mean(e n)) / deviation. The addend has
  /// the shape of dx, or is none. dx is written to `d_input`, which may be the addend, or to the workspace.
  template <class Scalar>
  MatrixView<Scalar> backward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace,
                                   MatrixView<Scalar> d_input = {}) const {
    const Index width = gain_.size;
    if (d_input.data == nullptr) {
      d_input = workspace.take(shape.rows(), width);
    }
    const Scalar scale = Scalar(1) / static_cast<Scalar>(static_cast<double>(width));
    const Scalar* gain = weights.vector(gain_);
    Scalar* d_gain = vector_of(gradients, gain_);
    Scalar* d_bias = vector_of(gradients, bias_);
    const Index together = rows_of_sweep<Scalar>(width);
    for (Index first = 0; first < shape.rows(); first += together) {
      const Index rows = (std::min)(together, shape.rows() - first);
      const MatrixView<const Scalar> dy = d_output.block(first, 0, rows, width);
      const MatrixView<const Scalar> x = cache.input.block(first, 0, rows, width);
      const MatrixView<const Scalar> moments = cache.moments.block(first, 0, rows, 2);
      const MatrixView<const Scalar> gains(gain, rows, width, 0);
      const MatrixView<const Scalar> onto = addend.data == nullptr ? addend : addend.block(first, 0, rows, width);
      const MatrixView<Scalar> dx = d_input.block(first, 0, rows, width);
      const auto add_e_and_en = [&moments](Index row, auto& totals, const auto& d, const auto& g, const auto& value) {
        totals[0] = fused_multiply_add(d, g, totals[0]);
        totals[1] = fused_multiply_add(d * g, value - moments(row, 0), totals[1]);
      };
      ScalarOfSweep<Scalar> mean_e;
      ScalarOfSweep<Scalar> mean_en;
      sum_rows<Scalar, 2>({mean_e.data(), mean_en.data()}, add_e_and_en, dy, gains, x);
      for (Index row = 0; row < rows; ++row) {
        mean_e[static_cast<std::size_t>(row)] *= scale;
        mean_en[static_cast<std::size_t>(row)] *= scale * moments(row, 1);
      }
      for_each_registers<Scalar, 4>(width, [&](const auto& lanes, Index index) {
        const auto g = lanes.load(gain + index);
        auto gain_total = lanes.load(d_gain + index);
        auto bias_total = lanes.load(d_bias + index);
        using Value = decltype(gain_total);
        for (Index row = 0; row < rows; ++row) {
          const auto number = static_cast<std::size_t>(row);
          const Value inverse(moments(row, 1));
          const Value d = lanes.load(dy.row(row) + index);
          const Value n = (lanes.load(x.row(row) + index) - Value(moments(row, 0))) * inverse;
          const Value e_centred = fused_multiply_add(d, g, Value(-mean_e[number]));
          const Value d_n = fused_multiply_add(Value(-mean_en[number]), n, e_centred);
          const Value d_x = onto.data == nullptr ? d_n * inverse
                                                 : fused_multiply_add(d_n, inverse, lanes.load(onto.row(row) + index));
          lanes.store(d_x, dx.row(row) + index);
          gain_total = fused_multiply_add(d, n, gain_total);
          bias_total = bias_total + d;
        }
        lanes.store(gain_total, d_gain + index);
        lanes.store(bias_total, d_bias + index);
      });
    }
    return d_input;
  }

 private:
  // The output's rows [first, first + rows), from their moments.
  template <class Scalar>
  void apply(const Weights<Scalar>& weights, const Cache<Scalar>& cache, Index first, Index rows,
             const MatrixView<Scalar>& output) const {
    const MatrixView<const Scalar> x = cache.input.block(first, 0, rows, gain_.size);
    const MatrixView<Scalar> y = output.block(first, 0, rows, gain_.size);
    const MatrixView<const Scalar> moments = cache.moments.block(first, 0, rows, 2);
    for_each_registers<Scalar, 4>(gain_.size, [&](const auto& lanes, Index index) {
      const auto gain = lanes.load(weights.vector(gain_) + index);
      const auto bias = lanes.load(weights.vector(bias_) + index);
      using Value = std::decay_t<decltype(gain)>;
      for (Index row = 0; row < rows; ++row) {
        const Value distance = lanes.load(x.row(row) + index) - Value(moments(row, 0));
        lanes.store(fused_multiply_add(distance * Value(moments(row, 1)), gain, bias), y.row(row) + index);
      }
    });
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
  /// addend + d_output, in `d_input` or the workspace.
  template <class Scalar>
  MatrixView<Scalar> backward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar>,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>&,
                                   Scalar*, Workspace<Scalar>& workspace, MatrixView<Scalar> d_input = {}) const {
    if (d_input.data == nullptr) {
      d_input = workspace.take(shape.rows(), d_output.columns);
    }
    copy_matrix<Scalar>(addend, d_input);  // itself, where it is the addend
    add_matrix<Scalar>(d_output, d_input);
    return d_input;
  }
};

INCONTEXT_NAMESPACE_END
