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

TEST_CASE_TEMPLATE("a token may be seen from `first_seeing` on, and not before", Mask, CausalMask, FullMask,
                   ContextMask) {
  for (Index tokens = 1; tokens < 6; ++tokens) {
    for (Index key = 0; key < tokens; ++key) {
      CAPTURE(tokens);
      CAPTURE(key);
      bool is_seen = false;
      for (Index token = 0; token < tokens; ++token) {
        const bool sees = Mask::visible(token, tokens) > key;
        CHECK_FALSE((sees && token < Mask::first_seeing(key)));
        // The query of a context mask is seen by nobody; any answer is right for it.
        if (sees && !is_seen) {
          CHECK(token == Mask::first_seeing(key));
          is_seen = true;
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("what a mask shows never shrinks from token to token", Mask, CausalMask, FullMask, ContextMask) {
  for (Index tokens = 1; tokens < 6; ++tokens) {
    for (Index token = 1; token < tokens; ++token) {
      CHECK(Mask::visible(token, tokens) >= Mask::visible(token - 1, tokens));
    }
  }
}
