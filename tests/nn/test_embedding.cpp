#include "incontext/nn/embedding.hpp"

#include "incontext/nn/position.hpp"
#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using incontext::AlignedVector;
using incontext::Embedding;
using incontext::Index;
using incontext::Key;
using incontext::LearnedPositions;
using incontext::MatrixView;
using incontext::ModelInput;
using incontext::NoPositions;
using incontext::ParameterLayout;
using incontext::ShapeError;
using incontext::Workspace;
using incontext_tests::by_tensor;
using incontext_tests::Complex;
using incontext_tests::complex_step;
using incontext_tests::gradient_tolerance;
using incontext_tests::normals;
using incontext_tests::worst_error;

namespace {

constexpr int continuous = ModelInput<double>::continuous;

template <class Scalar>
ModelInput<Scalar> make_input(incontext::SequenceShape shape, Index inputs, const std::vector<int>& ids) {
  ModelInput<Scalar> input;
  input.reset(shape, inputs);
  input.ids = ids;
  const AlignedVector<double> features = normals(shape.rows() * inputs, Key{1});
  for (Index row = 0; row < shape.rows(); ++row) {
    for (Index column = 0; column < inputs && ids[static_cast<std::size_t>(row)] == continuous; ++column) {
      input.feature_rows()(row, column) = features[static_cast<std::size_t>(row * inputs + column)];
    }
  }
  return input;
}

// Both gradients of sum(weighting * embedding) by every parameter.
template <class Position>
double gradient_error(Index inputs, Index vocabulary, Index width, incontext::SequenceShape shape,
                      const std::vector<int>& ids) {
  ParameterLayout layout;
  const Embedding<Position> embedding(layout, inputs, vocabulary, shape.tokens + 1, width);
  const AlignedVector<double> parameters = normals(layout.size(), Key{2});
  const AlignedVector<double> weighting = normals(shape.rows() * width, Key{3});
  const AlignedVector<double> before = normals(layout.size(), Key{4});
  AlignedVector<double> gradients = before;
  Workspace<double> workspace;
  embedding.backward(make_input<double>(shape, inputs, ids),
                     MatrixView<const double>(weighting.data(), shape.rows(), width), gradients.data(), workspace);
  for (std::size_t index = 0; index < gradients.size(); ++index) {
    gradients[index] -= before[index];
  }
  const ModelInput<Complex> complex_input = make_input<Complex>(shape, inputs, ids);
  Workspace<Complex> complex_workspace;
  return worst_error(
      by_tensor(layout, gradients.data(), complex_step(parameters, [&](const AlignedVector<Complex>& moved) {
                  complex_workspace.reset();
                  const auto output = embedding.forward(moved.data(), complex_input, complex_workspace);
                  Complex sum = 0.0;
                  for (std::size_t index = 0; index < weighting.size(); ++index) {
                    sum += weighting[index] * output.data[index];
                  }
                  return sum;
                })));
}

}  // namespace

TEST_CASE("the embedding declares what it needs, by GPT-2's names and PyTorch's shapes") {
  ParameterLayout all;
  const Embedding<LearnedPositions> both(all, 5, 7, 16, 4);
  REQUIRE(all.entries().size() == 4);
  CHECK(all.at("transformer.wte.weight").shape == std::vector<Index>{7, 4});
  CHECK(all.at("transformer.wpe.weight").shape == std::vector<Index>{16, 4});
  CHECK(all.at("read_in.weight").shape == std::vector<Index>{4, 5});
  CHECK(all.at("read_in.bias").shape == std::vector<Index>{4});
  ParameterLayout continuous_only;
  const Embedding<NoPositions> read_in(continuous_only, 5, 0, 16, 4);
  CHECK(continuous_only.entries().size() == 2);
  CHECK(continuous_only.find("read_in.weight") != nullptr);
  ParameterLayout discrete_only;
  const Embedding<NoPositions> table(discrete_only, 0, 7, 16, 4);
  CHECK(discrete_only.entries().size() == 1);
  CHECK(discrete_only.find("transformer.wte.weight") != nullptr);
}

TEST_CASE("a token is its row of the table, or its features read in, plus its position") {
  const Index width = 3;
  ParameterLayout layout;
  const Embedding<LearnedPositions> embedding(layout, 2, 4, 5, width);
  const AlignedVector<double> parameters = normals(layout.size(), Key{5});
  const auto parameter = [&](const char* name, Index row, Index column) {
    const incontext::ParameterEntry& entry = layout.at(name);
    return parameters[static_cast<std::size_t>(entry.offset + row * (entry.size / entry.shape.front()) + column)];
  };
  const std::vector<int> ids = {3, continuous, 0, continuous, continuous, 3};
  const ModelInput<double> input = make_input<double>({2, 3}, 2, ids);
  Workspace<double> workspace;
  const MatrixView<double> output = embedding.forward(parameters.data(), input, workspace);
  for (Index row = 0; row < 6; ++row) {
    for (Index column = 0; column < width; ++column) {
      const int id = ids[static_cast<std::size_t>(row)];
      double expected = parameter("transformer.wpe.weight", row % 3, column);
      if (id >= 0) {
        expected += parameter("transformer.wte.weight", id, column);
      } else {
        expected += parameter("read_in.bias", column, 0);
        for (Index k = 0; k < 2; ++k) {
          expected += input.feature_rows()(row, k) * parameter("read_in.weight", column, k);
        }
      }
      // A sum of four numbers of order one.
      CHECK(output(row, column) == doctest::Approx(expected).epsilon(1e-15).scale(10.0));
    }
  }
}

TEST_CASE("law 9: the backward of the embedding agrees with the complex-step derivative") {
  for (const Index width : {1, 3, 9}) {
    CAPTURE(width);
    CHECK(gradient_error<LearnedPositions>(2, 4, width, {2, 3}, {3, continuous, 0, continuous, continuous, 3}) <
          gradient_tolerance);
    CHECK(gradient_error<NoPositions>(2, 4, width, {2, 3}, {3, continuous, 0, continuous, continuous, 3}) <
          gradient_tolerance);
    CHECK(gradient_error<LearnedPositions>(5, 0, width, {1, 1}, {continuous}) < gradient_tolerance);
    CHECK(gradient_error<LearnedPositions>(0, 3, width, {3, 2}, {0, 1, 2, 2, 2, 0}) < gradient_tolerance);
  }
}

TEST_CASE("input that does not fit the tables is refused") {
  ParameterLayout layout;
  const Embedding<LearnedPositions> embedding(layout, 2, 4, 3, 5);
  CHECK_NOTHROW(embedding.check(make_input<double>({1, 3}, 2, {3, continuous, 0})));
  CHECK_THROWS_WITH_AS(embedding.check(make_input<double>({1, 2}, 2, {4, continuous})),
                       "token 4 is outside the vocabulary of 4", ShapeError);
  CHECK_THROWS_WITH_AS(embedding.check(make_input<double>({1, 2}, 2, {-2, continuous})),
                       "token -2 is outside the vocabulary of 4", ShapeError);
  CHECK_THROWS_WITH_AS(embedding.check(make_input<double>({1, 4}, 2, {0, 0, 0, 0})),
                       "a sequence of 4 tokens, but the model has 3 positions", ShapeError);
  CHECK_THROWS_WITH_AS(embedding.check(make_input<double>({1, 1}, 3, {continuous})),
                       "the model reads 2 features a token, the input has 3", ShapeError);
  ParameterLayout discrete;
  const Embedding<NoPositions> table(discrete, 0, 4, 3, 5);
  CHECK_THROWS_WITH_AS(table.check(make_input<double>({1, 1}, 0, {continuous})),
                       "a continuous token, but the model reads discrete tokens only", ShapeError);
}
