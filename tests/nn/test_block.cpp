#include "incontext/nn/block.hpp"

#include "incontext/nn/architecture.hpp"
#include "nn/complex_step.hpp"
#include "nn/reading.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using incontext::AlignedVector;
using incontext::Block;
using incontext::Gpt2;
using incontext::Index;
using incontext::Key;
using incontext::LinearSelfAttention;
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

TEST_CASE("a GPT-2 block declares its parameters in GPT-2's order; linear self-attention has attention alone") {
  const auto names = [](const ParameterLayout& layout) {
    std::vector<std::string> found;
    for (const ParameterEntry& entry : layout.entries()) {
      found.push_back(entry.name);
    }
    return found;
  };
  ParameterLayout gpt2;
  const Block<Gpt2> first(gpt2, "h.0", 4, 2, 9);
  CHECK(names(gpt2) == std::vector<std::string>{
                           "h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias",
                           "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias", "h.0.ln_2.weight", "h.0.ln_2.bias",
                           "h.0.mlp.c_fc.weight", "h.0.mlp.c_fc.bias", "h.0.mlp.c_proj.weight", "h.0.mlp.c_proj.bias"});
  ParameterLayout linear;
  const Block<LinearSelfAttention> second(linear, "h.0", 4, 2, 9);
  CHECK(names(linear) == std::vector<std::string>{"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias",
                                                  "h.0.attn.c_proj.weight", "h.0.attn.c_proj.bias"});
}

TEST_CASE("a block with zero parameters is the identity: only the residual stream is left") {
  ParameterLayout layout;
  const Block<Gpt2> block(layout, "h.0", 6, 2, 5);
  const AlignedVector<double> parameters(static_cast<std::size_t>(layout.size()));
  const AlignedVector<double> input = normals(24, Key{1});
  Workspace<double> workspace;
  Block<Gpt2>::Cache<double> cache;
  const MatrixView<double> output =
      block.forward(parameters.data(), {2, 2}, MatrixView<const double>(input.data(), 4, 6), cache, workspace);
  for (Index index = 0; index < 24; ++index) {
    CHECK(output.data[index] == input[static_cast<std::size_t>(index)]);
  }
}

TEST_CASE_TEMPLATE("law 9: the backward of a block agrees with the complex-step derivative", Architecture, Gpt2,
                   LinearSelfAttention) {
  for (const SequenceShape shape : odd_shapes()) {
    for (const auto& sizes : {std::pair<Index, Index>{2, 2}, {3, 1}, {6, 2}}) {
      const Index width = sizes.first;
      const Index heads = sizes.second;
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(width);
      ParameterLayout layout;
      const Block<Architecture> block(layout, "h.0", width, heads, 5);
      CHECK(worst_error(layer_gradients(block, layout, shape, width, Key{2})) < gradient_tolerance);
    }
  }
}

TEST_CASE_TEMPLATE("a block makes no difference to the rows that are read when it leaves out the others", Architecture,
                   Gpt2, LinearSelfAttention) {
  const auto check = [](auto scalar, Precision precision, Index width, Index heads) {
    using Scalar = decltype(scalar);
    CAPTURE(name_of(precision));
    CAPTURE(width);
    ParameterLayout layout;
    const Block<Architecture> block(layout, "h.0", width, heads, 3 * width);
    const SequenceShape shape{4, 19};
    const auto forward = [&](auto& cache, auto& workspace, const auto& weights, const auto& input, const auto& read) {
      return block.forward(weights, shape, input, cache, workspace, read);
    };
    const auto difference = incontext_tests::reading_difference<Scalar>(
        block, layout, precision, shape, width, incontext_tests::some_rows(shape.tokens), forward);
    CHECK_FALSE(difference.outputs);
    // Sums in the scalar itself go term by term: zeros that are left out change no bit.
    const double allowed = incontext::is_low<Scalar>(precision) ? 1.0 : 0.0;
    CHECK(difference.d_input <= allowed);
    CHECK(difference.gradients <= allowed);
  };
  for (const auto& sizes : {std::pair<Index, Index>{3, 1}, {33, 3}, {48, 2}}) {
    for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
      check(float{}, precision, sizes.first, sizes.second);
    }
    check(double{}, Precision::fp32, sizes.first, sizes.second);
  }
}
