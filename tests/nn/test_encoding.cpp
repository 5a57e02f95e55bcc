#include "incontext/nn/encoding.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <vector>

using incontext::ConcatenatedTokens;
using incontext::Index;
using incontext::InterleavedTokens;
using incontext::Key;
using incontext::MatrixView;
using incontext::ModelInput;
using incontext::Prompts;

namespace {

// Three prompts of `points` points in two dimensions. Number abc.d is coordinate d of point c, 9 for its label, of
// prompt b; instruction tokens are 10 * prompt + position.
Prompts example(Index points, Index prefix) {
  Prompts prompts(3, points, 2);
  for (Index prompt = 0; prompt < 3; ++prompt) {
    for (Index point = 0; point < points; ++point) {
      const double number = static_cast<double>(100 + 10 * prompt + point);
      prompts.inputs(prompt * points + point, 0) = number;
      prompts.inputs(prompt * points + point, 1) = number + 0.5;
      prompts.labels(prompt, point) = -number;
    }
  }
  prompts.prefix = prefix;
  for (Index prompt = 0; prompt < 3; ++prompt) {
    for (Index position = 0; position < prefix; ++position) {
      prompts.tokens.push_back(static_cast<int>(10 * prompt + position));
    }
  }
  return prompts;
}

template <class Scalar>
std::vector<double> row_of(const ModelInput<Scalar>& input, Index row) {
  std::vector<double> values;
  for (Index column = 0; column < input.inputs; ++column) {
    values.push_back(static_cast<double>(input.feature_rows()(row, column)));
  }
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("interleaved tokens: prefix, then x and (y, 0) in turn, without the last y", Scalar, float, double) {
  static_assert(InterleavedTokens::needs_causal_mask);
  CHECK(InterleavedTokens::inputs(2) == 2);
  CHECK(InterleavedTokens::tokens(2, 3) == 7);
  CHECK(InterleavedTokens::tokens(0, 1) == 1);
  CHECK(InterleavedTokens::first_prediction(3) == 0);
  ModelInput<Scalar> input;
  const Prompts prompts = example(3, 2);
  InterleavedTokens::encode(prompts, 1, 2, input);  // prompts 1 and 2
  REQUIRE(input.shape.sequences == 2);
  REQUIRE(input.shape.tokens == 7);
  REQUIRE(input.inputs == 2);
  for (Index sequence = 0; sequence < 2; ++sequence) {
    const Index first = 7 * sequence;
    const double number = static_cast<double>(100 + 10 * (sequence + 1));
    const int instruction = static_cast<int>(10 * (sequence + 1));
    const std::vector<int> ids(input.ids.begin() + first, input.ids.begin() + first + 7);
    CHECK(ids == std::vector<int>{instruction, instruction + 1, -1, -1, -1, -1, -1});
    const std::vector<std::vector<double>> expected = {{0.0, 0.0},
                                                       {0.0, 0.0},
                                                       {number, number + 0.5},
                                                       {-number, 0.0},
                                                       {number + 1.0, number + 1.5},
                                                       {-number - 1.0, 0.0},
                                                       {number + 2.0, number + 2.5}};
    for (Index token = 0; token < 7; ++token) {
      CHECK(row_of(input, first + token) == expected[static_cast<std::size_t>(token)]);
    }
    for (Index point = 0; point < 3; ++point) {
      CHECK(row_of(input, first + InterleavedTokens::prediction_token(2, point)).front() ==
            prompts.inputs((sequence + 1) * 3 + point, 0));
    }
  }
}

TEST_CASE_TEMPLATE("concatenated tokens: prefix, then (x, y), the label of the query left out", Scalar, float, double) {
  static_assert(!ConcatenatedTokens::needs_causal_mask);
  CHECK(ConcatenatedTokens::inputs(2) == 3);
  CHECK(ConcatenatedTokens::tokens(2, 3) == 5);
  CHECK(ConcatenatedTokens::first_prediction(3) == 2);
  CHECK(ConcatenatedTokens::first_prediction(1) == 0);
  ModelInput<Scalar> input;
  ConcatenatedTokens::encode(example(3, 2), 0, 3, input);
  REQUIRE(input.shape.sequences == 3);
  REQUIRE(input.shape.tokens == 5);
  REQUIRE(input.inputs == 3);
  for (Index sequence = 0; sequence < 3; ++sequence) {
    const Index first = 5 * sequence;
    const double number = static_cast<double>(100 + 10 * sequence);
    const int instruction = static_cast<int>(10 * sequence);
    const std::vector<int> ids(input.ids.begin() + first, input.ids.begin() + first + 5);
    CHECK(ids == std::vector<int>{instruction, instruction + 1, -1, -1, -1});
    CHECK(row_of(input, first + 1) == std::vector<double>{0.0, 0.0, 0.0});
    CHECK(row_of(input, first + 2) == std::vector<double>{number, number + 0.5, -number});
    CHECK(row_of(input, first + 3) == std::vector<double>{number + 1.0, number + 1.5, -number - 1.0});
    CHECK(row_of(input, first + 4) == std::vector<double>{number + 2.0, number + 2.5, 0.0});
    CHECK(ConcatenatedTokens::prediction_token(2, 2) == 4);
  }
}

TEST_CASE_TEMPLATE("encoding overwrites what was there", Encoding, InterleavedTokens, ConcatenatedTokens) {
  ModelInput<double> fresh;
  Encoding::encode(example(2, 0), 0, 3, fresh);
  ModelInput<double> used;
  Encoding::encode(example(6, 3), 0, 3, used);
  Encoding::encode(example(2, 0), 0, 3, used);
  CHECK(used.ids == fresh.ids);
  CHECK(used.features == fresh.features);
}

TEST_CASE("encoded to predict, the tokens of the predictions are read, prompt by prompt") {
  ModelInput<float> input;
  incontext::encode_to_predict<InterleavedTokens>(example(3, 2), 1, 2, input);
  CHECK(input.read == std::vector<Index>{2, 4, 6, 9, 11, 13});
  CHECK(incontext::predictions_of<InterleavedTokens>(3) == 3);
  incontext::encode_to_predict<ConcatenatedTokens>(example(3, 2), 0, 3, input);
  CHECK(input.read == std::vector<Index>{4, 9, 14});
  CHECK(incontext::predictions_of<ConcatenatedTokens>(3) == 1);
  ModelInput<float> all;
  ConcatenatedTokens::encode(example(3, 2), 0, 3, all);
  CHECK(all.read.empty());
  CHECK(all.features == input.features);
  CHECK(all.ids == input.ids);
}
