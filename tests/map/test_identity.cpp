#include "incontext/map/identity.hpp"

#include "../task/same_bits.hpp"
#include "incontext/map/mapped_task.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<Identity>);

TEST_CASE("law 1: invert . apply is the identity, for Identity") {
  const Prompts prompts = LinearRegression{{.dimension = 3, .points = 4, .noise = 0.5}}.sample(Key(1), 6);
  CHECK(same_bits(Identity{}.invert(Identity{}.apply(prompts)), prompts));
  CHECK(same_bits(Identity{}.invert_predictions(prompts.labels, prompts), prompts.labels));
}

TEST_CASE("law 5: the identity map is an identity of tasks") {
  const LinearRegression task{{.dimension = 3, .points = 4, .noise = 0.5}};
  CHECK(same_bits((task | Identity{}).sample(Key(1), 6), task.sample(Key(1), 6)));
}
