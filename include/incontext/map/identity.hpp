#pragma once
/// \file
/// The prompt map that changes nothing.

#include "incontext/map/map.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Leaves batches and predictions as they are: the neutral element of composition.
struct Identity {
  template <ExampleBatch Kind>
  [[nodiscard]] Kind apply(Kind batch) const {
    return batch;
  }
  template <ExampleBatch Kind>
  [[nodiscard]] Kind invert(Kind batch) const {
    return batch;
  }
  template <ExampleBatch Kind>
  [[nodiscard]] PredictionsOf<Kind> invert_predictions(PredictionsOf<Kind> predictions, const Kind&) const {
    return predictions;
  }
};

INCONTEXT_NAMESPACE_END
