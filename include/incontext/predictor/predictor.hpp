#pragma once
/// \file
/// What a predictor is: a model, or a closed form that a model is compared with.

#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Predicts the label at every point of every prompt from the exemplars before it. Pure.
template <class Type>
concept Predictor = std::copy_constructible<Type> && requires(const Type& predictor, const Prompts& prompts) {
  { predictor.predict(prompts) } -> std::same_as<Predictions>;
};

INCONTEXT_NAMESPACE_END
