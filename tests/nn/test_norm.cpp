#include "incontext/nn/norm.hpp"

#include "nn/complex_step.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::Key;
using incontext::LayerNorm;
using incontext::MatrixView;
using incontext::NoNorm;
using incontext::ParameterLayout;
using incontext::SequenceShape;
using incontext::Workspace;
using incontext_tests::content;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::normals;
using incontext_tests::odd_shapes;
using incontext_tests::same_bits;
using incontext_tests::worst_error;

TEST_CASE_TEMPLATE("layer norm is gain * (x - mean) / sqrt(variance + epsilon) + bias", Scalar, float, double) {
  for (const Index width : {1, 2, 7, 16, 33}) {
    CAPTURE(width);
    ParameterLayout layout;
    const LayerNorm layer(layout, "ln", width);
    const AlignedVector<Scalar> parameters = normals<Scalar>(layout.size(), Key{1});
    const SequenceShape shape{3, 2};
    const AlignedVector<Scalar> input = normals<Scalar>(shape.rows() * width, Key{2});
    Workspace<Scalar> workspace;
    LayerNorm::Cache<Scalar> cache;
    const MatrixView<const Scalar> output = layer.forward(
        parameters.data(), shape, MatrixView<const Scalar>(input.data(), shape.rows(), width), cache, workspace);
    const Scalar* gain = parameters.data() + layout.at("ln.weight").offset;
    const Scalar* bias = parameters.data() + layout.at("ln.bias").offset;
    for (Index row = 0; row < shape.rows(); ++row) {
      const Scalar* x = input.data() + row * width;
      long double mean = 0.0L;
      long double largest = 0.0L;
      for (Index column = 0; column < width; ++column) {
        mean += x[column];
        largest = (std::max)(largest, std::abs(static_cast<long double>(x[column])));
      }
      mean /= static_cast<long double>(width);
      long double variance = 0.0L;
      for (Index column = 0; column < width; ++column) {
        variance += (x[column] - mean) * (x[column] - mean);
      }
      const long double deviation =
          std::sqrt(variance / static_cast<long double>(width) + static_cast<long double>(LayerNorm::epsilon));
      for (Index column = 0; column < width; ++column) {
        const long double expected = gain[column] * (x[column] - mean) / deviation + bias[column];
        // The mean errs by at most `width` epsilon times the largest entry; that error, divided by the deviation, goes
        // through the variance once more; a handful of roundings of the result follow.
        const long double bound = static_cast<long double>(std::numeric_limits<Scalar>::epsilon()) *
                                  ((2.0L * static_cast<long double>(width) + 8.0L) * (largest / deviation + 1.0L) *
                                       std::abs(static_cast<long double>(gain[column])) +
                                   std::abs(static_cast<long double>(bias[column])));
        CHECK(std::abs(static_cast<long double>(output(row, column)) - expected) <= bound);
      }
    }
  }
}

TEST_CASE("layer norm starts with gain one and bias zero, and epsilon is GPT-2's") {
  ParameterLayout layout;
  const LayerNorm layer(layout, "transformer.ln_f", 5);
  CHECK(layout.at("transformer.ln_f.weight").shape == std::vector<Index>{5});
  CHECK(layout.at("transformer.ln_f.bias").shape == std::vector<Index>{5});
  AlignedVector<double> parameters(static_cast<std::size_t>(layout.size()));
  layer.initialise(parameters.data());
  const Index gain = layout.at("transformer.ln_f.weight").offset;
  for (Index index = 0; index < layout.size(); ++index) {
    CHECK(parameters[static_cast<std::size_t>(index)] == (index >= gain && index < gain + 5 ? 1.0 : 0.0));
  }
  CHECK(LayerNorm::epsilon == 1e-5);
}

TEST_CASE("a row of equal entries becomes the bias: nothing is divided by zero") {
  ParameterLayout layout;
  const LayerNorm layer(layout, "ln", 6);
  const AlignedVector<double> parameters = normals(layout.size(), Key{4});
  const AlignedVector<double> input(6, 0.5);
  Workspace<double> workspace;
  LayerNorm::Cache<double> cache;
  const auto output =
      layer.forward(parameters.data(), {1, 1}, MatrixView<const double>(input.data(), 1, 6), cache, workspace);
  for (Index column = 0; column < 6; ++column) {
    CHECK(output(0, column) == parameters[static_cast<std::size_t>(layout.at("ln.bias").offset + column)]);
  }
}

TEST_CASE("law 9: the backward of layer norm agrees with the complex-step derivative") {
  for (const SequenceShape shape : odd_shapes()) {
    for (const Index width : {1, 2, 3, 8, 13}) {
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(width);
      ParameterLayout layout;
      const LayerNorm layer(layout, "ln", width);
      CHECK(worst_error(layer_gradients(layer, layout, shape, width, Key{5})) < gradient_tolerance);
    }
  }
}

TEST_CASE("no norm declares nothing and is the identity") {
  ParameterLayout layout;
  const NoNorm layer(layout, "ln", 4);
  CHECK(layout.entries().empty());
  const AlignedVector<double> input = normals(8, Key{6});
  Workspace<double> workspace;
  NoNorm::Cache<double> cache;
  const double* no_parameters = nullptr;
  const auto output =
      layer.forward(no_parameters, {2, 1}, MatrixView<const double>(input.data(), 2, 4), cache, workspace);
  CHECK(output.data == input.data());
}

TEST_CASE("law 9: the backward of no norm agrees with the complex-step derivative") {
  for (const SequenceShape shape : odd_shapes()) {
    ParameterLayout layout;
    const NoNorm layer(layout, "ln", 3);
    CHECK(worst_error(layer_gradients(layer, layout, shape, 3, Key{7})) < gradient_tolerance);
  }
}

TEST_CASE_TEMPLATE("the output of layer norm can be made again, bit for bit, when its memory is gone", Scalar, float,
                   double) {
  for (const Index width : {1, 2, 7, 16, 33, 64}) {
    CAPTURE(width);
    ParameterLayout layout;
    const LayerNorm layer(layout, "ln", width);
    const AlignedVector<Scalar> parameters = normals<Scalar>(layout.size(), Key{1});
    const SequenceShape shape{3, 2};
    const AlignedVector<Scalar> input = normals<Scalar>(shape.rows() * width, Key{2});
    Workspace<Scalar> workspace;
    LayerNorm::Cache<Scalar> cache;
    const auto mark = workspace.temporary().mark();
    const MatrixView<const Scalar> output = layer.forward(
        parameters.data(), shape, MatrixView<const Scalar>(input.data(), shape.rows(), width), cache, workspace);
    const std::vector<Scalar> before = content(output);
    workspace.temporary().release(mark);
    const MatrixView<Scalar> other = workspace.temporary().take(shape.rows(), width);
    std::fill_n(other.data, other.rows * other.columns, std::numeric_limits<Scalar>::quiet_NaN());
    CHECK(same_bits(content(layer.reapply(parameters.data(), cache, workspace)), before));
  }
}

TEST_CASE_TEMPLATE("the backward of layer norm onto an addend is their sum within the rounding of both", Scalar, float,
                   double) {
  for (const Index width : {1, 2, 7, 16, 33}) {
    CAPTURE(width);
    ParameterLayout layout;
    const LayerNorm layer(layout, "ln", width);
    const AlignedVector<Scalar> parameters = normals<Scalar>(layout.size(), Key{1});
    const SequenceShape shape{3, 2};
    const Index count = shape.rows() * width;
    const auto view = [&](const AlignedVector<Scalar>& values) {
      return MatrixView<const Scalar>(values.data(), shape.rows(), width);
    };
    const AlignedVector<Scalar> input = normals<Scalar>(count, Key{2});
    const AlignedVector<Scalar> d_output = normals<Scalar>(count, Key{3});
    const AlignedVector<Scalar> addend = normals<Scalar>(count, Key{4});
    Workspace<Scalar> workspace;
    LayerNorm::Cache<Scalar> cache;
    (void)layer.forward(parameters.data(), shape, view(input), cache, workspace);
    AlignedVector<Scalar> gradients = parameters;
    AlignedVector<Scalar> gradients_onto = parameters;
    const MatrixView<Scalar> alone =
        layer.backward(parameters.data(), shape, view(d_output), cache, gradients.data(), workspace);
    const MatrixView<Scalar> onto = incontext::norm_backward_onto<LayerNorm, Scalar>(
        layer, view(addend), parameters.data(), shape, view(d_output), cache, gradients_onto.data(), workspace);
    CHECK(same_bits(gradients, gradients_onto));
    for (Index index = 0; index < count; ++index) {
      const Scalar expected = alone.data[index] + addend[static_cast<std::size_t>(index)];
      // The last product of the backward and the sum round here, or the two as one.
      const Scalar bound = std::numeric_limits<Scalar>::epsilon() * (std::abs(alone.data[index]) + std::abs(expected));
      CHECK(std::abs(onto.data[index] - expected) <= bound);
    }
  }
}

TEST_CASE("no norm hands its input on again, and its backward onto an addend is their sum") {
  ParameterLayout layout;
  const NoNorm layer(layout, "ln", 4);
  const AlignedVector<double> input = normals(8, Key{6});
  const AlignedVector<double> d_output = normals(8, Key{7});
  const AlignedVector<double> addend = normals(8, Key{8});
  Workspace<double> workspace;
  NoNorm::Cache<double> cache;
  const double* no_parameters = nullptr;
  (void)layer.forward(no_parameters, {2, 1}, MatrixView<const double>(input.data(), 2, 4), cache, workspace);
  CHECK(layer.reapply(no_parameters, cache, workspace).data == input.data());
  const MatrixView<double> onto = incontext::norm_backward_onto<NoNorm, double>(
      layer, MatrixView<const double>(addend.data(), 2, 4), no_parameters, {2, 1},
      MatrixView<const double>(d_output.data(), 2, 4), cache, nullptr, workspace);
  for (std::size_t index = 0; index < 8; ++index) {
    CHECK(onto.data[index] == d_output[index] + addend[index]);
  }
}
