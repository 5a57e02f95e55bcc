#pragma once
/// \file
/// Position policies: a learned table, or none.

#include "incontext/nn/layer.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// Row t of a learned table, [positions, width], is added to token t of every sequence.
struct LearnedPositions {
  static constexpr bool is_present = true;
};

/// Tokens carry no position: the model is a function of the set of exemplars.
struct NoPositions {
  static constexpr bool is_present = false;
};

INCONTEXT_NAMESPACE_END
