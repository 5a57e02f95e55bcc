#pragma once
/// \file
/// What a prompt map is: a pure function of batches, and for the invertible ones its inverse on predictions.

#include "incontext/task/example_batch.hpp"

#include <concepts>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// A pure function from batches of one medium to batches of the same count.
template <class Type, class Kind>
concept MapOn = ExampleBatch<Kind> && std::copy_constructible<Type> && requires(const Type& map, Kind batch) {
  { map.apply(std::move(batch)) } -> std::same_as<Kind>;
};

/// A map that can be undone: `invert` on batches (law 1), and `invert_predictions` on what a predictor says of the
/// mapped batch. The original batch comes along, since an inverse may depend on it.
template <class Type, class Kind>
concept InvertibleMapOn = MapOn<Type, Kind> &&
    requires(const Type& map, Kind batch, const Kind& original, PredictionsOf<Kind> predictions) {
  { map.invert(std::move(batch)) } -> std::same_as<Kind>;
  { map.invert_predictions(std::move(predictions), original) } -> std::same_as<PredictionsOf<Kind>>;
};

/// A map of at least one of the media.
template <class Type>
concept PromptMap = MapOn<Type, Prompts> || MapOn<Type, TokenBatch>;

/// A map that can be undone in at least one of the media.
template <class Type>
concept InvertibleMap = InvertibleMapOn<Type, Prompts> || InvertibleMapOn<Type, TokenBatch>;

INCONTEXT_NAMESPACE_END
