#include "incontext/nn/mask.hpp"

#include <doctest/doctest.h>

using incontext::CausalMask;
using incontext::ContextMask;
using incontext::FullMask;
using incontext::Index;

TEST_CASE("a causal mask shows a token itself and those before it") {
  static_assert(CausalMask::is_causal);
  for (Index tokens = 1; tokens < 6; ++tokens) {
    for (Index token = 0; token < tokens; ++token) {
      CHECK(CausalMask::visible(token, tokens) == token + 1);
    }
  }
}

TEST_CASE("a full mask shows everything, a context mask everything but the query") {
  static_assert(!FullMask::is_causal && !ContextMask::is_causal);
  for (Index tokens = 1; tokens < 6; ++tokens) {
    for (Index token = 0; token < tokens; ++token) {
      CHECK(FullMask::visible(token, tokens) == tokens);
      CHECK(ContextMask::visible(token, tokens) == tokens - 1);
    }
  }
}
