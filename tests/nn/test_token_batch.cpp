#include "incontext/nn/token_batch.hpp"

#include "incontext/nn/loss.hpp"

#include <doctest/doctest.h>

#include <string>

using incontext::ConfigurationError;
using incontext::CrossEntropy;
using incontext::ShapeError;
using incontext::TokenBatch;

namespace {

TokenBatch example() {
  return {.count = 2, .length = 3, .tokens = {0, 1, 2, 2, 1, 0}, .targets = {1, 2, 0, 1, 0, 2}, .weights = {}};
}

}  // namespace

TEST_CASE("no weights are weights of one") {
  TokenBatch batch = example();
  CHECK(CrossEntropy{}.total_weight(batch) == 6.0);
  batch.weights.assign(6, 1.0);
  CHECK(CrossEntropy{}.total_weight(batch) == 6.0);
  batch.weights = {0.0, 0.5, 0.0, 2.0, 0.0, 0.0};
  CHECK(CrossEntropy{}.total_weight(batch) == 2.5);
}

TEST_CASE("a token batch whose parts do not fit each other is refused") {
  const auto refused = [](const TokenBatch& batch) { (void)CrossEntropy{}.total_weight(batch); };
  TokenBatch batch = example();
  batch.tokens.pop_back();
  CHECK_THROWS_WITH_AS(refused(batch),
                       "CrossEntropy: 5 tokens, 6 targets and 0 weights for 2 sequences of length 3, expected 6 of "
                       "each, or no weights",
                       ShapeError);
  batch = example();
  batch.targets.push_back(0);
  CHECK_THROWS_AS(refused(batch), ShapeError);
  batch = example();
  batch.weights.assign(5, 1.0);
  CHECK_THROWS_AS(refused(batch), ShapeError);
  batch.weights.assign(6, 0.0);
  CHECK_THROWS_WITH_AS(refused(batch), "CrossEntropy: the weights of a token batch sum to 0, expected more than 0",
                       ConfigurationError);
  batch.weights = {1.0, 1.0, -0.5, 1.0, 1.0, 1.0};
  CHECK_THROWS_WITH_AS(refused(batch), "CrossEntropy: the weight of a token is -0.5, expected at least 0",
                       ConfigurationError);
}
