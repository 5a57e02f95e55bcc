#pragma once
/// \file
/// Labels with the opposite sign.

#include "incontext/map/scale_labels.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Negates labels and targets, and predictions on the way back: scaling by -1. Exact.
class FlipSign : public ScaleLabels {
 public:
  FlipSign() : ScaleLabels(-1.0) {}
};

INCONTEXT_NAMESPACE_END
