#pragma once
/// \file
/// A choice among several by their shares of a whole.

#include "incontext/core/config.hpp"

#include <cstddef>

INCONTEXT_NAMESPACE_BEGIN

/// Which of `count` holds `place`, if they stand side by side from 0 on, each as wide as its `weight(number)`. Rounding
/// may leave the sum of the weights just below the whole: what lies beyond it belongs to the last that has a weight at
/// all. One without a weight is never chosen, unless none has one; then it is number 0.
template <class Weight>
[[nodiscard]] std::size_t choice_at(double place, std::size_t count, const Weight& weight) {
  double bound = 0.0;
  std::size_t chosen = 0;
  for (std::size_t candidate = 0; candidate < count; ++candidate) {
    const double its_weight = weight(candidate);
    if (its_weight == 0.0) {
      continue;
    }
    chosen = candidate;
    bound += its_weight;
    if (place < bound) {
      break;
    }
  }
  return chosen;
}

INCONTEXT_NAMESPACE_END
