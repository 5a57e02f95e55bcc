#pragma once
/// \file
/// The prompt map that changes nothing.

#include "incontext/map/map.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Leaves prompts and predictions as they are: the neutral element of composition.
struct Identity {
  [[nodiscard]] Prompts apply(Prompts prompts) const { return prompts; }
  [[nodiscard]] Prompts invert(Prompts prompts) const { return prompts; }
  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const { return predictions; }
};

INCONTEXT_NAMESPACE_END
