#pragma once
/// \file
/// What a prompt map is: a pure function of prompts, and for the invertible ones its inverse on predictions.

#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// A pure function from prompts to prompts of the same count and points.
template <class Type>
concept PromptMap = std::copy_constructible<Type> && requires(const Type& map, Prompts prompts) {
  { map.apply(std::move(prompts)) } -> std::same_as<Prompts>;
};

/// A map that can be undone: `invert` on prompts (law 1), and `invert_predictions` on what a predictor says of the
/// mapped prompts. The original prompts come along, since an inverse may depend on them.
template <class Type>
concept InvertibleMap = PromptMap<Type> && requires(const Type& map, Prompts prompts, Predictions predictions) {
  { map.invert(std::move(prompts)) } -> std::same_as<Prompts>;
  { map.invert_predictions(std::move(predictions), prompts) } -> std::same_as<Predictions>;
};

INCONTEXT_NAMESPACE_END
