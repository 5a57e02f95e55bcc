#pragma once
/// \file
/// A batch of token sequences with targets, for models over a vocabulary.

#include "incontext/core/config.hpp"

#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// `count` sequences of `length` tokens. Where `weights` is not zero, the logits at a token are held against its
/// target.
struct TokenBatch {
  Index count = 0;
  Index length = 0;
  std::vector<int> tokens;      ///< [count * length]
  std::vector<int> targets;     ///< [count * length]
  std::vector<double> weights;  ///< [count * length]: the mask, or any weighting; empty means all ones
};

INCONTEXT_NAMESPACE_END
