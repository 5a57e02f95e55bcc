#pragma once
/// \file
/// Mask policies: which tokens a token may attend to. Each mask is a prefix of the sequence, so it is one number.

#include "incontext/core/config.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// A token sees itself and those before it.
struct CausalMask {
  static constexpr bool is_causal = true;
  static constexpr Index visible(Index token, Index) { return token + 1; }
};

/// A token sees all tokens.
struct FullMask {
  static constexpr bool is_causal = false;
  static constexpr Index visible(Index, Index tokens) { return tokens; }
};

/// Every token sees all tokens but the last, the query: as in von Oswald et al. 2022.
struct ContextMask {
  static constexpr bool is_causal = false;
  static constexpr Index visible(Index, Index tokens) { return tokens - 1; }
};

INCONTEXT_NAMESPACE_END
