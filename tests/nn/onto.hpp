#pragma once
/// \file
/// What layers promise besides forward and backward: to add to the residual stream, and to take their input anew.

#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/layer.hpp"
#include "nn/complex_step.hpp"
#include "simd/island.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace incontext_tests {

/// The largest of |forward_onto - (addend + forward)| over what rounding allows: at most 1 if the two agree.
///
/// Both end in one product, sums from different starts over the same terms. Each is within gamma_k of
/// |addend| + |bias| + |A| |B|: k = inner + 2 in the scalar itself, 18 + terms * steps on bfloat16 (see the test of
/// low_precision_product.hpp), whose parts are together at most 1.02 as large as the operands. The sum afterwards
/// rounds once more. `left(cache)` is A, [rows, inner]; B and the bias are the parameters of these names.
template <class Scalar, class LayerType, class Left>
double worst_of_forward_onto(const LayerType& layer, const incontext::ParameterLayout& layout, const char* weight,
                             const char* bias, incontext::Precision precision, incontext::SequenceShape shape,
                             incontext::Index width, incontext::Index inner, Left&& left) {
  using incontext::Index;
  using incontext::Key;
  using incontext::MatrixView;
  using View = MatrixView<const Scalar>;
  const auto parameters = normals<Scalar>(layout.size(), Key{1});
  const auto input = normals<Scalar>(shape.rows() * width, Key{2});
  const auto addend = normals<Scalar>(shape.rows() * width, Key{3});
  const incontext::Weights<Scalar> weights(parameters.data(), precision);
  const View x(input.data(), shape.rows(), width);
  const View onto(addend.data(), shape.rows(), width);
  incontext::Workspace<Scalar> workspace;
  typename LayerType::template Cache<Scalar> cache;
  typename LayerType::template Cache<Scalar> cache_onto;
  const View alone = layer.forward(weights, shape, x, cache, workspace);
  const View together = layer.forward_onto(onto, weights, shape, x, cache_onto, workspace);
  const std::vector<Scalar> a = left(cache);
  const Scalar* const b = parameters.data() + layout.at(weight).offset;
  const Scalar* const biases = parameters.data() + layout.at(bias).offset;
  const double unit = 0.5 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  const Index steps = (inner + 31) / 32;
  const Index roundings = !incontext::is_low<Scalar>(precision)     ? inner + 2
                          : precision == incontext::Precision::bf16 ? 18 + steps
                                                                    : 18 + 3 * steps;
  const double k = unit * static_cast<double>(roundings);
  double worst = 0.0;
  for (Index row = 0; row < shape.rows(); ++row) {
    for (Index column = 0; column < width; ++column) {
      double size = std::abs(static_cast<double>(onto(row, column))) + std::abs(static_cast<double>(biases[column]));
      for (Index index = 0; index < inner; ++index) {
        size += std::abs(static_cast<double>(a[static_cast<std::size_t>(row * inner + index)]) *
                         static_cast<double>(b[index * width + column]));
      }
      const double difference = static_cast<double>(together(row, column)) -
                                (static_cast<double>(alone(row, column)) + static_cast<double>(onto(row, column)));
      const double ratio = std::abs(difference) / (2.0 * k / (1.0 - k) * 1.02 * size);
      worst = ratio <= worst ? worst : (std::isnan(ratio) ? INFINITY : ratio);
    }
  }
  return worst;
}

/// Whether backward_from with a copy of the input has the bits of backward, though the input that the cache remembers
/// is lost: `input_of(cache)` is that view.
template <class Scalar, class LayerType, class InputOf>
bool backward_from_is_backward(const LayerType& layer, const incontext::ParameterLayout& layout,
                               incontext::Precision precision, incontext::SequenceShape shape, incontext::Index width,
                               InputOf&& input_of) {
  using incontext::Key;
  using incontext::MatrixView;
  using View = MatrixView<const Scalar>;
  const auto parameters = normals<Scalar>(layout.size(), Key{1});
  const auto input = normals<Scalar>(shape.rows() * width, Key{2});
  const auto d_output = normals<Scalar>(shape.rows() * width, Key{3});
  const incontext::AlignedVector<Scalar> lost(input.size(), std::numeric_limits<Scalar>::quiet_NaN());
  const incontext::AlignedVector<Scalar> copy = input;
  const auto view = [&](const incontext::AlignedVector<Scalar>& values) {
    return View(values.data(), shape.rows(), width);
  };
  const incontext::Weights<Scalar> weights(parameters.data(), precision);
  incontext::Workspace<Scalar> workspace;
  typename LayerType::template Cache<Scalar> cache;
  (void)layer.forward(weights, shape, view(input), cache, workspace);
  incontext::AlignedVector<Scalar> gradients = parameters;
  incontext::AlignedVector<Scalar> gradients_from = parameters;
  const View d_input = layer.backward(weights, shape, view(d_output), cache, gradients.data(), workspace);
  input_of(cache) = view(lost);
  const View d_input_from =
      layer.backward_from(view(copy), weights, shape, view(d_output), cache, gradients_from.data(), workspace);
  return same_bits(content(d_input), content(d_input_from)) && same_bits(gradients, gradients_from) &&
         !same_bits(gradients, parameters);
}

}  // namespace incontext_tests
