#pragma once
/// \file
/// Mask policies: which tokens a token may attend to. Each mask is a prefix of the sequence, so it is one number, which
/// never falls from token to token. `first_seeing` says from which token on a token may be seen.

#include "incontext/core/config.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// A token sees itself and those before it.
struct CausalMask {
  static constexpr bool is_causal = true;
  static constexpr Index visible(Index token, Index) { return token + 1; }
  static constexpr Index first_seeing(Index token) { return token; }
};

/// A token sees all tokens.
struct FullMask {
  static constexpr bool is_causal = false;
  static constexpr Index visible(Index, Index tokens) { return tokens; }
  static constexpr Index first_seeing(Index) { return 0; }
};

/// Every token sees all tokens but the last, the query: as in von Oswald et al. 2022.
struct ContextMask {
  static constexpr bool is_causal = false;
  static constexpr Index visible(Index, Index tokens) { return tokens - 1; }
  static constexpr Index first_seeing(Index) { return 0; }
};

INCONTEXT_NAMESPACE_END
