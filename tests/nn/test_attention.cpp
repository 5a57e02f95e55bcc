#include "incontext/nn/attention.hpp"

#include "nn/complex_step.hpp"
#include "nn/onto.hpp"
#include "nn/reading.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

using incontext::AlignedVector;
using incontext::Attention;
using incontext::CausalMask;
using incontext::ContextMask;
using incontext::FullMask;
using incontext::Index;
using incontext::Key;
using incontext::LinearKernel;
using incontext::MatrixView;
using incontext::ParameterLayout;
using incontext::Precision;
using incontext::SequenceShape;
using incontext::SoftmaxKernel;
using incontext::Workspace;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::normals;
using incontext_tests::odd_shapes;
using incontext_tests::worst_error;

namespace {

using SoftmaxCausal = Attention<SoftmaxKernel, CausalMask>;
using SoftmaxFull = Attention<SoftmaxKernel, FullMask>;
using SoftmaxContext = Attention<SoftmaxKernel, ContextMask>;
using LinearCausal = Attention<LinearKernel, CausalMask>;
using LinearFull = Attention<LinearKernel, FullMask>;
using LinearContext = Attention<LinearKernel, ContextMask>;

template <class Layer>
std::vector<double> run(const Layer& layer, const AlignedVector<double>& parameters, SequenceShape shape,
                        const AlignedVector<double>& input, Index width) {
  Workspace<double> workspace;
  typename Layer::template Cache<double> cache;
  const MatrixView<double> output = layer.forward(
      parameters.data(), shape, MatrixView<const double>(input.data(), shape.rows(), width), cache, workspace);
  return {output.data, output.data + output.rows * output.columns};
}

// Attention as the papers write it, one number at a time.
template <bool is_softmax, class Mask>
std::vector<long double> plain_attention(const ParameterLayout& layout, const AlignedVector<double>& parameters,
                                         SequenceShape shape, const AlignedVector<double>& input, Index width,
                                         Index heads) {
  const auto at = [&](const char* name, Index place) -> long double {
    return parameters[static_cast<std::size_t>(layout.at(name).offset + place)];
  };
  const Index size = width / heads;
  const auto project = [&](Index row, Index column) {
    long double sum = at("attn.c_attn.bias", column);
    for (Index k = 0; k < width; ++k) {
      sum += input[static_cast<std::size_t>(row * width + k)] * at("attn.c_attn.weight", k * 3 * width + column);
    }
    return sum;
  };
  std::vector<long double> output;
  for (Index row = 0; row < shape.rows(); ++row) {
    const Index token = row % shape.tokens;
    const Index first = row - token;
    const Index visible = Mask::visible(token, shape.tokens);
    std::vector<long double> mixed;
    for (Index head = 0; head < heads; ++head) {
      std::vector<long double> weights;
      long double total = 0.0L;
      for (Index other = 0; other < visible; ++other) {
        long double score = 0.0L;
        for (Index k = 0; k < size; ++k) {
          score += project(row, head * size + k) * project(first + other, width + head * size + k);
        }
        weights.push_back(is_softmax ? std::exp(score / std::sqrt(static_cast<long double>(size))) : score);
        total += is_softmax ? weights.back() : 1.0L;
      }
      for (Index k = 0; k < size; ++k) {
        long double sum = 0.0L;
        for (Index other = 0; other < visible; ++other) {
          sum += weights[static_cast<std::size_t>(other)] / total * project(first + other, 2 * width + head * size + k);
        }
        mixed.push_back(sum);
      }
    }
    for (Index column = 0; column < width; ++column) {
      long double sum = at("attn.c_proj.bias", column);
      for (Index k = 0; k < width; ++k) {
        sum += mixed[static_cast<std::size_t>(k)] * at("attn.c_proj.weight", k * width + column);
      }
      output.push_back(sum);
    }
  }
  return output;
}

template <class Layer>
constexpr bool uses_softmax =
    std::is_same_v<Layer, SoftmaxCausal> || std::is_same_v<Layer, SoftmaxFull> || std::is_same_v<Layer, SoftmaxContext>;

}  // namespace

TEST_CASE("attention declares GPT-2's names and shapes") {
  ParameterLayout layout;
  const SoftmaxCausal layer(layout, "transformer.h.0.attn", 6, 2);
  CHECK(layout.entries().size() == 4);
  CHECK(layout.at("transformer.h.0.attn.c_attn.weight").shape == std::vector<Index>{6, 18});
  CHECK(layout.at("transformer.h.0.attn.c_attn.bias").shape == std::vector<Index>{18});
  CHECK(layout.at("transformer.h.0.attn.c_proj.weight").shape == std::vector<Index>{6, 6});
  CHECK(layout.at("transformer.h.0.attn.c_proj.bias").shape == std::vector<Index>{6});
}

TEST_CASE_TEMPLATE("attention is what the papers write", Layer, SoftmaxCausal, SoftmaxFull, SoftmaxContext,
                   LinearCausal, LinearFull, LinearContext) {
  for (const SequenceShape shape : {SequenceShape{1, 1}, SequenceShape{2, 3}, SequenceShape{2, 9}}) {
    for (const Index heads : {1, 2, 6}) {
      CAPTURE(shape.tokens);
      CAPTURE(heads);
      const Index width = 6;
      ParameterLayout layout;
      const Layer layer(layout, "attn", width, heads);
      const AlignedVector<double> parameters = normals(layout.size(), Key{1});
      const AlignedVector<double> input = normals(shape.rows() * width, Key{2});
      const std::vector<double> output = run(layer, parameters, shape, input, width);
      const std::vector<long double> expected = plain_attention<uses_softmax<Layer>, typename Layer::mask_type>(
          layout, parameters, shape, input, width, heads);
      REQUIRE(output.size() == expected.size());
      long double largest = 0.0L;
      for (const long double value : expected) {
        largest = (std::max)(largest, std::abs(value));
      }
      // Scores are at most some hundreds here and move the weights by as many roundings; four products follow.
      for (std::size_t index = 0; index < output.size(); ++index) {
        CHECK(std::abs(static_cast<double>(output[index] - expected[index])) <= 1e-13 * static_cast<double>(largest));
      }
    }
  }
}

TEST_CASE_TEMPLATE("under a causal mask, a later token changes no bit of an earlier output", Layer, SoftmaxCausal,
                   LinearCausal) {
  const Index width = 6;
  const SequenceShape shape{2, 9};
  ParameterLayout layout;
  const Layer layer(layout, "attn", width, 2);
  const AlignedVector<double> parameters = normals(layout.size(), Key{1});
  const AlignedVector<double> input = normals(shape.rows() * width, Key{2});
  const std::vector<double> before = run(layer, parameters, shape, input, width);
  for (Index token = 0; token < shape.tokens; ++token) {
    AlignedVector<double> changed = input;
    changed[static_cast<std::size_t>(token * width)] += 1e3;
    const std::vector<double> after = run(layer, parameters, shape, changed, width);
    // The outputs of the first sequence up to this token, and all of the second sequence.
    CHECK(std::memcmp(before.data(), after.data(), static_cast<std::size_t>(token * width) * sizeof(double)) == 0);
    const auto second = static_cast<std::size_t>(shape.tokens * width);
    CHECK(std::memcmp(before.data() + second, after.data() + second, second * sizeof(double)) == 0);
    CHECK(before[static_cast<std::size_t>(token * width)] != after[static_cast<std::size_t>(token * width)]);
  }
}

TEST_CASE("under a context mask, the query is read by nobody") {
  const Index width = 4;
  const SequenceShape shape{1, 5};
  ParameterLayout layout;
  const LinearContext layer(layout, "attn", width, 2);
  const AlignedVector<double> parameters = normals(layout.size(), Key{1});
  AlignedVector<double> input = normals(shape.rows() * width, Key{2});
  const std::vector<double> before = run(layer, parameters, shape, input, width);
  input[static_cast<std::size_t>(4 * width)] += 1e3;
  const std::vector<double> after = run(layer, parameters, shape, input, width);
  CHECK(std::memcmp(before.data(), after.data(), static_cast<std::size_t>(4 * width) * sizeof(double)) == 0);
  CHECK(before.back() != after.back());
}

TEST_CASE("softmax attention ignores the bias of the keys") {
  const Index width = 6;
  const SequenceShape shape{1, 5};
  ParameterLayout layout;
  const SoftmaxFull layer(layout, "attn", width, 2);
  AlignedVector<double> parameters = normals(layout.size(), Key{1});
  const AlignedVector<double> input = normals(shape.rows() * width, Key{2});
  const std::vector<double> before = run(layer, parameters, shape, input, width);
  for (Index key = 0; key < width; ++key) {
    parameters[static_cast<std::size_t>(layout.at("attn.c_attn.bias").offset + width + key)] += 1.0;
  }
  const std::vector<double> after = run(layer, parameters, shape, input, width);
  for (std::size_t index = 0; index < before.size(); ++index) {
    CHECK(after[index] == doctest::Approx(before[index]).epsilon(1e-12));
  }
}

TEST_CASE_TEMPLATE("law 9: the backward of attention agrees with the complex-step derivative", Layer, SoftmaxCausal,
                   SoftmaxFull, SoftmaxContext, LinearCausal, LinearFull, LinearContext) {
  for (const SequenceShape shape : odd_shapes()) {
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {3, 3}, {6, 2}}) {
      const Index width = sizes.first;
      const Index heads = sizes.second;
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(width);
      ParameterLayout layout;
      const Layer layer(layout, "attn", width, heads);
      CHECK(worst_error(layer_gradients(layer, layout, shape, width, Key{3})) < gradient_tolerance);
    }
  }
  // More tokens than a vector has lanes, and no multiple of it.
  ParameterLayout layout;
  const Layer layer(layout, "attn", 4, 2);
  CHECK(worst_error(layer_gradients(layer, layout, {1, 19}, 4, Key{4})) < gradient_tolerance);
}

TEST_CASE_TEMPLATE("attention onto an addend is their sum, up to the rounding of the sums", Layer, SoftmaxCausal,
                   LinearContext) {
  const auto check = [](auto scalar, Precision precision, Index width, Index heads) {
    using Scalar = decltype(scalar);
    CAPTURE(name_of(precision));
    CAPTURE(width);
    ParameterLayout layout;
    const Layer layer(layout, "attn", width, heads);
    const auto mixed = [](const auto& cache) { return incontext_tests::content(cache.projection.input); };
    CHECK(incontext_tests::worst_of_forward_onto<Scalar>(layer, layout, "attn.c_proj.weight", "attn.c_proj.bias",
                                                         precision, {5, 7}, width, width, mixed) <= 1.0);
  };
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {6, 2}, {33, 3}}) {
      check(float{}, precision, sizes.first, sizes.second);
      check(double{}, precision, sizes.first, sizes.second);
    }
  }
}

TEST_CASE_TEMPLATE("attention goes backward from an input handed in as from the one that it kept", Layer, SoftmaxCausal,
                   SoftmaxFull, LinearContext) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    ParameterLayout layout;
    const Layer layer(layout, "attn", 33, 3);
    const auto input_of = [](auto& cache) -> auto& { return cache.joint.input; };
    CHECK(incontext_tests::backward_from_is_backward<float>(layer, layout, precision, {5, 7}, 33, input_of));
    CHECK(incontext_tests::backward_from_is_backward<double>(layer, layout, precision, {5, 7}, 33, input_of));
  }
}

TEST_CASE_TEMPLATE("tokens that nobody reads may be left out as queries", Layer, SoftmaxCausal, SoftmaxFull,
                   SoftmaxContext, LinearCausal, LinearFull, LinearContext) {
  const auto check = [](auto scalar, Precision precision, Index tokens, Index width, Index heads) {
    using Scalar = decltype(scalar);
    CAPTURE(name_of(precision));
    CAPTURE(tokens);
    CAPTURE(width);
    ParameterLayout layout;
    const Layer layer(layout, "attn", width, heads);
    const SequenceShape shape{4, tokens};
    const auto forward = [&](auto& cache, auto& workspace, const auto& weights, const auto& input, const auto& read) {
      return layer.forward_onto({}, weights, shape, input, cache, workspace, read);
    };
    const auto difference = incontext_tests::reading_difference<Scalar>(layer, layout, precision, shape, width,
                                                                        incontext_tests::some_rows(tokens), forward);
    CHECK_FALSE(difference.outputs);
    // Sums in the scalar itself go term by term: zeros that are left out change no bit.
    const double allowed = incontext::is_low<Scalar>(precision) ? 1.0 : 0.0;
    CHECK(difference.d_input <= allowed);
    CHECK(difference.gradients <= allowed);
  };
  for (const Index tokens : {3, 19, 41}) {
    for (const auto& sizes : {std::pair<Index, Index>{3, 3}, {33, 3}, {32, 2}}) {
      for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
        check(float{}, precision, tokens, sizes.first, sizes.second);
      }
      check(double{}, Precision::fp32, tokens, sizes.first, sizes.second);
    }
  }
  check(double{}, Precision::fp32, 400, 2, 1);  // more tokens than go through a product at once
}
