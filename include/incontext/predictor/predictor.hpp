#pragma once
/// \file
/// What a predictor is: a model, or a closed form that a model is compared with.

#include "incontext/task/example_batch.hpp"

#include <concepts>

INCONTEXT_NAMESPACE_BEGIN

/// Says something to every example of a batch. Pure.
template <class Type, class Kind>
concept PredictorOn = ExampleBatch<Kind> && std::copy_constructible<Type> &&
    requires(const Type& predictor, const Kind& batch) {
  { predictor.predict(batch) } -> std::same_as<PredictionsOf<Kind>>;
};

/// Predicts the label at every point of every prompt from the exemplars before it.
template <class Type>
concept Predictor = PredictorOn<Type, Prompts>;

INCONTEXT_NAMESPACE_END
