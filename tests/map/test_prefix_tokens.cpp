#include "incontext/map/prefix_tokens.hpp"

#include "../task/same_bits.hpp"
#include "incontext/map/mapped_task.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<PrefixTokens>);

namespace {

const LinearRegression task{{.dimension = 3, .points = 4, .noise = 0.5}};

}  // namespace

TEST_CASE("PrefixTokens: tokens go in front of those already there, and nothing else changes") {
  const Prompts prompts = task.sample(Key(1), 2);
  const Prompts once = PrefixTokens{{7, 8}}.apply(prompts);
  CHECK(once.prefix == 2);
  CHECK(once.tokens == std::vector<int>{7, 8, 7, 8});
  Prompts twice = PrefixTokens{{9}}.apply(once);
  CHECK(twice.prefix == 3);
  CHECK(twice.tokens == std::vector<int>{9, 7, 8, 9, 7, 8});
  twice.prefix = 0;
  twice.tokens.clear();
  CHECK(same_bits(twice, prompts));
}

TEST_CASE("law 1: invert . apply is the identity, for PrefixTokens") {
  const PrefixTokens map{{7, 8}};
  for (const Index count : {0, 1, 6}) {
    Prompts prompts = task.sample(Key(1), count);
    CHECK(same_bits(map.invert(map.apply(prompts)), prompts));
    // With tokens of their own, different for every prompt.
    prompts.prefix = 2;
    for (Index token = 0; token < 2 * count; ++token) {
      prompts.tokens.push_back(static_cast<int>(token));
    }
    CHECK(same_bits(map.invert(map.apply(prompts)), prompts));
    CHECK(same_bits(map.invert_predictions(prompts.labels, prompts), prompts.labels));
  }
}

TEST_CASE("law 5: an empty prefix is an identity") {
  const PrefixTokens nothing{std::vector<int>{}};
  CHECK(same_bits((task | nothing).sample(Key(1), 6), task.sample(Key(1), 6)));
  const Prompts cued = PrefixTokens{{7, 8}}.apply(task.sample(Key(1), 6));
  CHECK(same_bits(nothing.apply(cued), cued));
  CHECK(same_bits(nothing.invert(cued), cued));
}

TEST_CASE("PrefixTokens: errors name the token") {
  CHECK_THROWS_WITH_AS((PrefixTokens{{1, -4}}), doctest::Contains("token -4"), ConfigurationError);
  const PrefixTokens map{{7, 8}};
  const Prompts plain = task.sample(Key(1), 3);
  CHECK_THROWS_WITH_AS(static_cast<void>(map.invert(plain)), doctest::Contains("0 instruction tokens"), ShapeError);
  Prompts other = map.apply(plain);
  other.tokens[5] = 9;
  CHECK_THROWS_WITH_AS(static_cast<void>(map.invert(other)), doctest::Contains("token 1 of prompt 2 is 9, expected 8"),
                       ShapeError);
}
