#include "incontext/nn/feed_forward.hpp"

#include "incontext/nn/activation.hpp"
#include "nn/complex_step.hpp"
#include "nn/onto.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using incontext::AlignedVector;
using incontext::FeedForward;
using incontext::Gelu;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::NoFeedForward;
using incontext::ParameterLayout;
using incontext::Precision;
using incontext::SequenceShape;
using incontext::Workspace;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::normals;
using incontext_tests::odd_shapes;
using incontext_tests::worst_error;

namespace {

// An activation that a user would write: one function on scalars and vectors alike, and its derivative.
struct Square {
  template <class Value>
  static Value value(const Value& x) {
    return x * x;
  }
  template <class Value>
  static Value derivative(const Value& x) {
    return x + x;
  }
};

}  // namespace

TEST_CASE("a feed-forward part declares GPT-2's names and shapes, none declares nothing") {
  ParameterLayout layout;
  const FeedForward<Gelu> layer(layout, "mlp", 3, 12);
  CHECK(layout.entries().size() == 4);
  CHECK(layout.at("mlp.c_fc.weight").shape == std::vector<Index>{3, 12});
  CHECK(layout.at("mlp.c_fc.bias").shape == std::vector<Index>{12});
  CHECK(layout.at("mlp.c_proj.weight").shape == std::vector<Index>{12, 3});
  CHECK(layout.at("mlp.c_proj.bias").shape == std::vector<Index>{3});
  static_assert(FeedForward<Gelu>::is_present && !NoFeedForward::is_present);
  ParameterLayout empty;
  const NoFeedForward none(empty, "mlp", 3, 12);
  CHECK(empty.entries().empty());
}

TEST_CASE("a feed-forward part is activation(x W1 + b1) W2 + b2") {
  ParameterLayout layout;
  const FeedForward<Square> layer(layout, "mlp", 1, 2);
  AlignedVector<double> parameters(static_cast<std::size_t>(layout.size()));
  const auto set = [&](const char* name, std::vector<double> values) {
    std::copy(values.begin(), values.end(), parameters.begin() + layout.at(name).offset);
  };
  set("mlp.c_fc.weight", {2.0, -1.0});
  set("mlp.c_fc.bias", {1.0, 0.5});
  set("mlp.c_proj.weight", {3.0, 4.0});
  set("mlp.c_proj.bias", {-7.0});
  const double x = 1.5;
  Workspace<double> workspace;
  FeedForward<Square>::Cache<double> cache;
  const auto output = layer.forward(parameters.data(), {1, 1}, MatrixView<const double>(&x, 1, 1), cache, workspace);
  CHECK(output(0, 0) == 3.0 * 4.0 * 4.0 + 4.0 * 1.0 - 7.0);
}

TEST_CASE_TEMPLATE("law 9: the backward of a feed-forward part agrees with the complex-step derivative", Activation,
                   Gelu, Square) {
  for (const SequenceShape shape : odd_shapes()) {
    // 131 units go through the layer in two portions; of 257 the activation is computed again.
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {3, 5}, {5, 19}, {2, 131}, {1, 257}}) {
      const Index width = sizes.first;
      const Index hidden = sizes.second;
      CAPTURE(shape.sequences);
      CAPTURE(shape.tokens);
      CAPTURE(width);
      ParameterLayout layout;
      const FeedForward<Activation> layer(layout, "mlp", width, hidden);
      CHECK(worst_error(layer_gradients(layer, layout, shape, width, Key{1})) < gradient_tolerance);
    }
  }
}

TEST_CASE_TEMPLATE("a feed-forward part onto an addend is their sum, up to the rounding of the sums", Scalar, float,
                   double) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    // 300 units go through the layer in three portions.
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {3, 5}, {33, 70}, {7, 300}}) {
      const Index width = sizes.first;
      const Index hidden = sizes.second;
      CAPTURE(name_of(precision));
      CAPTURE(hidden);
      ParameterLayout layout;
      const FeedForward<Gelu> layer(layout, "mlp", width, hidden);
      const auto activated = [](const auto& cache) {
        if (cache.after.data != nullptr) {
          return incontext_tests::content(cache.after);
        }
        std::vector<Scalar> values = incontext_tests::content(cache.before);
        for (Scalar& value : values) {
          value = Gelu::value(value);
        }
        return values;
      };
      CHECK(incontext_tests::worst_of_forward_onto<Scalar>(layer, layout, "mlp.c_proj.weight", "mlp.c_proj.bias",
                                                           precision, {5, 7}, width, hidden, activated) <= 1.0);
    }
  }
}

TEST_CASE_TEMPLATE("a feed-forward part goes backward from an input handed in as from the one that it kept", Scalar,
                   float, double) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    for (const Index hidden : {70, 300}) {
      ParameterLayout layout;
      const FeedForward<Gelu> layer(layout, "mlp", 33, hidden);
      CHECK(incontext_tests::backward_from_is_backward<Scalar>(
          layer, layout, precision, {5, 7}, 33, [](auto& cache) -> auto& { return cache.expand.input; }));
    }
  }
}

TEST_CASE(
    "a feed-forward part takes many units a portion at a time, and bf16x3, whose terms follow each other, at once") {
  using incontext::units_at_once;
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    CHECK(units_at_once(precision, 5) == 5);
    CHECK(units_at_once(precision, 128) == 128);
  }
  CHECK(units_at_once(Precision::fp32, 1000) == 128);
  CHECK(units_at_once(Precision::bf16, 1000) == 128);
  CHECK(units_at_once(Precision::bf16x3, 1000) == 1000);
}

TEST_CASE_TEMPLATE("portions of hidden units change no bit of a feed-forward part, forward or backward", Scalar, float,
                   double) {
  // The same layer with its units in one portion: the sums over all of them, by the two affine layers themselves.
  const Index width = 35;
  const SequenceShape shape{5, 7};
  // Of 200 units the activation is kept, of 300 it is computed again.
  const Precision precisions[] = {Precision::fp32, Precision::bf16, Precision::bf16x3};
  for (Index number = 0; number < 6; ++number) {
    const Precision precision = precisions[number / 2];
    const Index hidden = number % 2 == 0 ? 200 : 300;
    CAPTURE(name_of(precision));
    CAPTURE(hidden);
    ParameterLayout layout;
    const FeedForward<Square> layer(layout, "mlp", width, hidden);
    const auto parameters = normals<Scalar>(layout.size(), Key{1});
    const auto x = normals<Scalar>(shape.rows() * width, Key{2});
    const auto dy = normals<Scalar>(shape.rows() * width, Key{3});
    const MatrixView<const Scalar> input(x.data(), shape.rows(), width);
    const MatrixView<const Scalar> d_output(dy.data(), shape.rows(), width);
    const incontext::Weights<Scalar> weights(parameters.data(), precision);

    Workspace<Scalar> workspace;
    typename FeedForward<Square>::template Cache<Scalar> cache;
    std::vector<Scalar> gradients(parameters.size());
    const auto output =
        incontext_tests::content(MatrixView<const Scalar>(layer.forward(weights, shape, input, cache, workspace)));
    const auto d_input = incontext_tests::content(
        MatrixView<const Scalar>(layer.backward(weights, shape, d_output, cache, gradients.data(), workspace)));

    Workspace<Scalar> other;
    typename incontext::Linear::Cache<Scalar> expand;
    typename incontext::Linear::Cache<Scalar> contract;
    std::vector<Scalar> expected_gradients(parameters.size());
    const MatrixView<Scalar> before = layer.expand().forward(weights, shape, input, expand, other);
    const MatrixView<Scalar> after = other.take(shape.rows(), hidden);
    const auto on_every_unit = [&](auto&& operation) {
      for (Index row = 0; row < shape.rows(); ++row) {
        for (Index unit = 0; unit < hidden; ++unit) {
          operation(row, unit);
        }
      }
    };
    on_every_unit([&](Index row, Index unit) { after(row, unit) = Square::value(before(row, unit)); });
    const auto expected_output = incontext_tests::content(MatrixView<const Scalar>(
        layer.contract().forward(weights, shape, MatrixView<const Scalar>(after), contract, other)));
    const MatrixView<Scalar> d_before =
        layer.contract().backward(weights, shape, d_output, contract, expected_gradients.data(), other);
    on_every_unit([&](Index row, Index unit) { d_before(row, unit) *= Square::derivative(before(row, unit)); });
    const auto expected_d_input = incontext_tests::content(MatrixView<const Scalar>(layer.expand().backward(
        weights, shape, MatrixView<const Scalar>(d_before), expand, expected_gradients.data(), other)));

    CHECK(incontext_tests::same_bits(output, expected_output));
    CHECK(incontext_tests::same_bits(d_input, expected_d_input));
    CHECK(incontext_tests::same_bits(gradients, expected_gradients));
  }
}
