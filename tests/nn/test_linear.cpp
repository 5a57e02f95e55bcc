#include "incontext/nn/linear.hpp"

#include "nn/complex_step.hpp"
#include "nn/onto.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::Key;
using incontext::Linear;
using incontext::MatrixView;
using incontext::ParameterEntry;
using incontext::ParameterLayout;
using incontext::Precision;
using incontext::SequenceShape;
using incontext::Workspace;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::normals;
using incontext_tests::odd_shapes;
using incontext_tests::worst_error;

TEST_CASE("an affine layer declares a Conv1D: the weight as [inputs, outputs], then the bias") {
  ParameterLayout layout;
  const Linear layer(layout, "mlp.c_fc", 3, 7);
  REQUIRE(layout.entries().size() == 2);
  CHECK(layout.at("mlp.c_fc.weight").shape == std::vector<Index>{3, 7});
  CHECK(layout.at("mlp.c_fc.bias").shape == std::vector<Index>{7});
  CHECK(layer.outputs() == 7);
  CHECK(layer.weight().offset == layout.at("mlp.c_fc.weight").offset);
  CHECK(layer.bias().offset == layout.at("mlp.c_fc.bias").offset);
}

TEST_CASE("an affine layer is y = x W + b") {
  ParameterLayout layout;
  const Linear layer(layout, "linear", 5, 9);
  const AlignedVector<double> parameters = normals(layout.size(), Key{1});
  const SequenceShape shape{2, 4};
  const AlignedVector<double> input = normals(shape.rows() * 5, Key{2});
  Workspace<double> workspace;
  Linear::Cache<double> cache;
  const MatrixView<double> output =
      layer.forward(parameters.data(), shape, MatrixView<const double>(input.data(), 8, 5), cache, workspace);
  REQUIRE(output.rows == 8);
  REQUIRE(output.columns == 9);
  for (Index row = 0; row < 8; ++row) {
    for (Index column = 0; column < 9; ++column) {
      long double sum = parameters[static_cast<std::size_t>(layer.bias().offset + column)];
      long double magnitude = std::abs(sum);
      for (Index k = 0; k < 5; ++k) {
        const long double term = static_cast<long double>(input[static_cast<std::size_t>(row * 5 + k)]) *
                                 parameters[static_cast<std::size_t>(layer.weight().offset + k * 9 + column)];
        sum += term;
        magnitude += std::abs(term);
      }
      // Six terms: each passes at most six roundings of half an epsilon.
      const auto bound = static_cast<double>(3.0L * 2.3e-16L * magnitude);
      CHECK(std::abs(static_cast<double>(output(row, column) - sum)) <= bound);
    }
  }
}

TEST_CASE("law 9: the backward of an affine layer agrees with the complex-step derivative") {
  for (const SequenceShape shape : odd_shapes()) {
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {3, 5}, {9, 2}, {4, 17}}) {
      const Index inputs = sizes.first;
      const Index outputs = sizes.second;
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(outputs);
      ParameterLayout layout;
      const Linear layer(layout, "linear", inputs, outputs);
      CHECK(worst_error(layer_gradients(layer, layout, shape, inputs, Key{3})) < gradient_tolerance);
    }
  }
}

TEST_CASE_TEMPLATE("an affine layer onto an addend is their sum, up to the rounding of the sums", Scalar, float,
                   double) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    for (const Index width : {1, 7, 32, 45}) {
      CAPTURE(name_of(precision));
      CAPTURE(width);
      ParameterLayout layout;
      const Linear layer(layout, "linear", width, width);
      const auto input = [](const auto& cache) { return incontext_tests::content(cache.input); };
      CHECK(incontext_tests::worst_of_forward_onto<Scalar>(layer, layout, "linear.weight", "linear.bias", precision,
                                                           {5, 7}, width, width, input) <= 1.0);
    }
  }
}

TEST_CASE_TEMPLATE("the parts of an affine layer are that layer, side by side", Scalar, float, double) {
  using View = MatrixView<const Scalar>;
  const SequenceShape shape{5, 7};
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    // Parts that begin with a panel, and parts that do not.
    for (const auto& sizes : {std::array<Index, 3>{5, 9, 2}, {33, 99, 33}, {32, 96, 32}, {7, 80, 64}}) {
      const Index inputs = sizes[0];
      const Index outputs = sizes[1];
      const Index first = sizes[2];
      CAPTURE(name_of(precision));
      CAPTURE(outputs);
      ParameterLayout layout;
      const Linear layer(layout, "linear", inputs, outputs);
      const AlignedVector<Scalar> parameters = normals<Scalar>(layout.size(), Key{1});
      const AlignedVector<Scalar> input = normals<Scalar>(shape.rows() * inputs, Key{2});
      const AlignedVector<Scalar> d_output = normals<Scalar>(shape.rows() * outputs, Key{3});
      const incontext::Weights<Scalar> weights(parameters.data(), precision);
      const View x(input.data(), shape.rows(), inputs);
      const View dy(d_output.data(), shape.rows(), outputs);
      Workspace<Scalar> workspace;
      Linear::Cache<Scalar> cache;
      AlignedVector<Scalar> gradients(static_cast<std::size_t>(layout.size()), Scalar(1));
      const View whole = layer.forward(weights, shape, x, cache, workspace);
      const View d_whole = layer.backward_from(x, weights, shape, dy, gradients.data(), workspace);
      AlignedVector<Scalar> gradients_of_parts(static_cast<std::size_t>(layout.size()), Scalar(1));
      View d_parts;
      for (const auto& [begin, count] : {std::pair<Index, Index>{0, first}, {first, outputs - first}}) {
        const Linear part = layer.part(begin, count);
        CHECK(part.outputs() == count);
        CHECK(part.weight_matrix().columns == outputs);
        CHECK(incontext_tests::content(View(part.forward(weights, shape, x, cache, workspace))) ==
              incontext_tests::content(whole.block(0, begin, shape.rows(), count)));
        d_parts = part.backward_from(x, weights, shape, dy.block(0, begin, shape.rows(), count),
                                     gradients_of_parts.data(), workspace, d_parts);
      }
      CHECK(gradients_of_parts == gradients);
      if (!incontext::is_low<Scalar>(precision)) {
        CHECK(incontext_tests::content(d_parts) == incontext_tests::content(d_whole));
      }
    }
  }
}
