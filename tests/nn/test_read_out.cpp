#include "incontext/nn/read_out.hpp"

#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::ParameterLayout;
using incontext::ReadOut;
using incontext::SequenceShape;
using incontext::Workspace;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::normals;
using incontext_tests::odd_shapes;
using incontext_tests::worst_error;

TEST_CASE("the read-out declares PyTorch's Linear: the weight as [outputs, inputs]") {
  ParameterLayout layout;
  const ReadOut layer(layout, "read_out", 5, 3);
  CHECK(layout.at("read_out.weight").shape == std::vector<Index>{3, 5});
  CHECK(layout.at("read_out.bias").shape == std::vector<Index>{3});
  CHECK(layer.weight().offset == layout.at("read_out.weight").offset);
  CHECK(layer.bias().size == 3);
}

TEST_CASE("the read-out is y = x W' + b, whatever was in the workspace before") {
  for (const Index outputs : {1, 2, 7, 8, 17}) {
    CAPTURE(outputs);
    const Index width = 5;
    const SequenceShape shape{3, 2};
    ParameterLayout layout;
    const ReadOut layer(layout, "read_out", width, outputs);
    const AlignedVector<double> parameters = normals(layout.size(), Key{1});
    const AlignedVector<double> input = normals(shape.rows() * width, Key{2});
    Workspace<double> workspace;
    const MatrixView<double> litter = workspace.take(100, 10);
    std::fill(litter.data, litter.data + 1000, std::nan(""));
    workspace.reset();
    ReadOut::Cache<double> cache;
    const MatrixView<double> output =
        layer.forward(parameters.data(), shape, MatrixView<const double>(input.data(), 6, width), cache, workspace);
    REQUIRE(output.rows == 6);
    REQUIRE(output.columns == outputs);
    for (Index row = 0; row < 6; ++row) {
      for (Index column = 0; column < outputs; ++column) {
        long double sum = parameters[static_cast<std::size_t>(layer.bias().offset + column)];
        long double magnitude = std::abs(sum);
        for (Index k = 0; k < width; ++k) {
          const long double term = static_cast<long double>(input[static_cast<std::size_t>(row * width + k)]) *
                                   parameters[static_cast<std::size_t>(layer.weight().offset + column * width + k)];
          sum += term;
          magnitude += std::abs(term);
        }
        // Six terms: each passes at most six roundings of half an epsilon.
        const auto bound = static_cast<double>(3.0L * 2.3e-16L * magnitude);
        CHECK(std::abs(static_cast<double>(output(row, column) - sum)) <= bound);
      }
    }
  }
}

TEST_CASE("law 9: the backward of the read-out agrees with the complex-step derivative") {
  for (const SequenceShape shape : odd_shapes()) {
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {5, 1}, {3, 7}, {9, 17}}) {
      const Index width = sizes.first;
      const Index outputs = sizes.second;
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(outputs);
      ParameterLayout layout;
      const ReadOut layer(layout, "read_out", width, outputs);
      CHECK(worst_error(layer_gradients(layer, layout, shape, width, Key{3})) < gradient_tolerance);
    }
  }
}
