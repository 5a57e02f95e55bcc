#pragma once
/// \file
/// The complex-step derivative (Squire and Trapp 1998), and the comparison of hand-written backwards with it.
///
/// For f analytic, f(x + ih) = f(x) + ih f'(x) - O(h^2): the imaginary part divided by h is the derivative. Nothing is
/// subtracted, so h may be so small that the error term vanishes, and the derivative is as exact as f itself.

#include "incontext/core/key.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/layer.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace incontext_tests {

using Complex = std::complex<double>;

/// What law 9 asks for.
inline constexpr double gradient_tolerance = 1e-10;

/// Independent standard normals.
template <class Scalar = double>
incontext::AlignedVector<Scalar> normals(incontext::Index count, incontext::Key key) {
  incontext::AlignedVector<Scalar> values(static_cast<std::size_t>(count));
  incontext::Stream(key).fill_normal(values.begin(), values.end());
  return values;
}

inline incontext::AlignedVector<Complex> complex_of(const incontext::AlignedVector<double>& values) {
  return {values.begin(), values.end()};
}

/// The derivative of `function` by every entry of `point`; `function` takes a vector of complex numbers.
template <class Function>
std::vector<double> complex_step(const incontext::AlignedVector<double>& point, Function&& function) {
  constexpr double step = 1e-20;
  incontext::AlignedVector<Complex> moved = complex_of(point);
  std::vector<double> derivative;
  for (Complex& entry : moved) {
    entry += Complex(0.0, step);
    derivative.push_back(function(std::as_const(moved)).imag() / step);
    entry = entry.real();
  }
  return derivative;
}

/// The gradient of one tensor, by the hand-written backward and by complex step.
struct TensorGradient {
  std::string name;
  std::vector<double> backward;
  std::vector<double> complex_step;
};

inline double norm(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) {
    sum += value * value;
  }
  return std::sqrt(sum);
}

/// |backward - complex step| / |complex step|, the largest over the tensors. A tensor whose gradient vanishes (the
/// input of a layer norm of width one) has only rounding to show; it is measured by the norm of all of them together.
inline double worst_error(const std::vector<TensorGradient>& gradients) {
  double all = 0.0;
  for (const TensorGradient& gradient : gradients) {
    all = std::hypot(all, norm(gradient.complex_step));
  }
  double worst = gradients.empty() ? INFINITY : 0.0;
  for (const TensorGradient& gradient : gradients) {
    if (gradient.backward.size() != gradient.complex_step.size()) {
      return INFINITY;
    }
    std::vector<double> difference = gradient.backward;
    for (std::size_t index = 0; index < difference.size(); ++index) {
      difference[index] -= gradient.complex_step[index];
    }
    const double own = norm(gradient.complex_step);
    const double scale = own > 1e-8 * all ? own : all;
    const double distance = norm(difference);
    if (!(distance == 0.0)) {
      // Written so that a NaN counts as the worst.
      const double error = distance / scale;
      worst = error <= worst ? worst : (std::isnan(error) ? INFINITY : error);
    }
  }
  return worst;
}

/// Cuts a flat gradient into the tensors of its layout.
inline std::vector<TensorGradient> by_tensor(const incontext::ParameterLayout& layout, const double* backward,
                                             const std::vector<double>& by_step) {
  std::vector<TensorGradient> gradients;
  for (const incontext::ParameterEntry& entry : layout.entries()) {
    gradients.push_back({entry.name,
                         {backward + entry.offset, backward + entry.offset + entry.size},
                         {by_step.begin() + entry.offset, by_step.begin() + entry.offset + entry.size}});
  }
  return gradients;
}

/// Both gradients of sum(weighting * layer(input)) by every parameter and by the input, at a random point. The buffer
/// that the backward adds to does not start from zero, so a backward that overwrites it is found out.
template <class LayerType>
std::vector<TensorGradient> layer_gradients(const LayerType& layer, incontext::ParameterLayout declared,
                                            incontext::SequenceShape shape, incontext::Index inputs,
                                            incontext::Key key) {
  using incontext::AlignedVector;
  using incontext::Index;
  using incontext::MatrixView;
  using incontext::Workspace;
  static_assert(incontext::Layer<LayerType, double> && incontext::Layer<LayerType, Complex>);
  const AlignedVector<double> parameters = normals(declared.size(), key.fold("parameters"));
  const AlignedVector<double> input = normals(shape.rows() * inputs, key.fold("input"));

  Workspace<double> workspace;
  typename LayerType::template Cache<double> cache;
  const MatrixView<const double> output = layer.forward(
      parameters.data(), shape, MatrixView<const double>(input.data(), shape.rows(), inputs), cache, workspace);
  const AlignedVector<double> weighting = normals(output.rows * output.columns, key.fold("weighting"));
  const AlignedVector<double> before = normals(declared.size(), key.fold("gradients before"));
  AlignedVector<double> gradients = before;
  const MatrixView<double> d_input =
      layer.backward(parameters.data(), shape, MatrixView<const double>(weighting.data(), output.rows, output.columns),
                     cache, gradients.data(), workspace);
  for (std::size_t index = 0; index < gradients.size(); ++index) {
    gradients[index] -= before[index];
  }

  Workspace<Complex> complex_workspace;
  const auto loss = [&](const AlignedVector<Complex>& complex_parameters, const AlignedVector<Complex>& complex_input) {
    complex_workspace.reset();
    typename LayerType::template Cache<Complex> complex_cache;
    const MatrixView<const Complex> complex_output = layer.forward(
        complex_parameters.data(), shape, MatrixView<const Complex>(complex_input.data(), shape.rows(), inputs),
        complex_cache, complex_workspace);
    Complex sum = 0.0;
    for (Index row = 0; row < complex_output.rows; ++row) {
      for (Index column = 0; column < complex_output.columns; ++column) {
        sum += weighting[static_cast<std::size_t>(row * output.columns + column)] * complex_output(row, column);
      }
    }
    return sum;
  };
  const AlignedVector<Complex> complex_parameters = complex_of(parameters);
  const AlignedVector<Complex> complex_input = complex_of(input);
  std::vector<TensorGradient> found = by_tensor(
      declared, gradients.data(),
      complex_step(parameters, [&](const AlignedVector<Complex>& moved) { return loss(moved, complex_input); }));
  std::vector<double> d_input_values;
  for (Index row = 0; row < d_input.rows; ++row) {
    d_input_values.insert(d_input_values.end(), d_input.row(row), d_input.row(row) + d_input.columns);
  }
  found.push_back({"input", std::move(d_input_values), complex_step(input, [&](const AlignedVector<Complex>& moved) {
                     return loss(complex_parameters, moved);
                   })});
  return found;
}

/// The shapes that every layer is checked at: one sequence of one token, one sequence, many of one token, odd ones.
inline const std::vector<incontext::SequenceShape>& odd_shapes() {
  static const std::vector<incontext::SequenceShape> shapes = {{1, 1}, {1, 5}, {3, 1}, {2, 3}};
  return shapes;
}

}  // namespace incontext_tests
