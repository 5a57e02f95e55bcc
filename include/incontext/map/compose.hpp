#pragma once
/// \file
/// Prompt maps one after the other: `first | second`.

#include "incontext/map/map.hpp"
#include "incontext/task/task.hpp"

#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Applies `First`, then `Second`; the inverse undoes `Second`, then `First`.
template <PromptMap First, PromptMap Second>
class Compose {
 public:
  Compose(First first, Second second) : first_(std::move(first)), second_(std::move(second)) {}

  template <class Kind>
  requires MapOn<First, Kind> && MapOn<Second, Kind>
  [[nodiscard]] Kind apply(Kind batch) const { return second_.apply(first_.apply(std::move(batch))); }

  template <class Kind>
  requires InvertibleMapOn<First, Kind> && InvertibleMapOn<Second, Kind>
  [[nodiscard]] Kind invert(Kind batch) const { return first_.invert(second_.invert(std::move(batch))); }

  /// \param predictions what a predictor says of apply(batch)
  /// \param batch the batch before either map
  template <class Kind>
  requires InvertibleMapOn<First, Kind> && InvertibleMapOn<Second, Kind>
  [[nodiscard]] PredictionsOf<Kind> invert_predictions(PredictionsOf<Kind> predictions, const Kind& batch) const {
    return first_.invert_predictions(second_.invert_predictions(std::move(predictions), first_.apply(batch)), batch);
  }

  [[nodiscard]] const First& first() const { return first_; }
  [[nodiscard]] const Second& second() const { return second_; }

 private:
  First first_;
  Second second_;
};

/// The map that applies `first`, then `second`.
template <PromptMap First, PromptMap Second>
requires(!Task<First>) [[nodiscard]] Compose<First, Second> operator|(First first, Second second) {
  return Compose<First, Second>(std::move(first), std::move(second));
}

INCONTEXT_NAMESPACE_END
