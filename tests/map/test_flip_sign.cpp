#include "incontext/map/flip_sign.hpp"

#include "../task/same_bits.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<FlipSign>);

TEST_CASE("FlipSign: negates labels and targets and nothing else") {
  const Prompts prompts = LinearRegression{{.dimension = 3, .points = 4, .noise = 0.5}}.sample(Key(1), 6);
  Prompts expected = prompts;
  expected.labels = -prompts.labels;
  expected.targets = -prompts.targets;
  CHECK(same_bits(FlipSign{}.apply(prompts), expected));
}

TEST_CASE("law 1: invert . apply is the identity, for FlipSign") {
  const Prompts prompts = LinearRegression{{.dimension = 3, .points = 4, .noise = 0.5}}.sample(Key(1), 6);
  const FlipSign map;
  CHECK(same_bits(map.invert(map.apply(prompts)), prompts));
  CHECK(same_bits(map.invert_predictions(map.apply(prompts).labels, prompts), prompts.labels));
}
