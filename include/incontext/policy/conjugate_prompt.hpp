#pragma once
/// \file
/// Conjugate prompting (Kotha et al. 2024, section 3): transform the prompt, predict, map the prediction back.

#include "incontext/map/compose.hpp"
#include "incontext/map/identity.hpp"
#include "incontext/policy/run.hpp"
#include "incontext/policy/stage.hpp"
#include "incontext/predictor/predictor.hpp"

#include <type_traits>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// s^-1 . f . s: the predictor f, asked about what the map s makes of the prompts.
template <class Inner, InvertibleMap Map>
class Conjugated {
 public:
  Conjugated(Inner predictor, Map map) : predictor_(std::move(predictor)), map_(std::move(map)) {}

  template <class Kind>
  requires PredictorOn<Inner, Kind> && InvertibleMapOn<Map, Kind>
  [[nodiscard]] PredictionsOf<Kind> predict(const Kind& batch) const {
    return map_.invert_predictions(predictor_.predict(map_.apply(batch)), batch);
  }

 private:
  Inner predictor_;
  Map map_;
};

/// The policy: predictor -> predictor, or a stage that conjugates whatever is evaluated after it.
template <class Map>
class ConjugatePrompt : public Stage {
  static_assert(InvertibleMap<Map>,
                "ConjugatePrompt needs an InvertibleMap, which has invert() and invert_predictions() beside apply()");

 public:
  explicit ConjugatePrompt(Map map) : map_(std::move(map)) {}

  [[nodiscard]] const Map& map() const { return map_; }

  /// A run whose predictions go through the map: a conjugated run can be evaluated, no longer trained.
  template <class Model, class View, class... Observers>
  [[nodiscard]] auto apply(Run<Model, View> run, Observers&...) const {
    auto view = compose(map_, run.view());
    return std::move(run).with_view(std::move(view));
  }

 private:
  // The newest map meets the prompt first: t^-1 . (s^-1 . f . s) . t.
  template <class View>
  static auto compose(const Map& map, const View& view) {
    if constexpr (std::is_same_v<View, Identity>) {
      return map;
    } else {
      return map | view;
    }
  }
  Map map_;
};

/// `ridge | ConjugatePrompt{ScaleLabels{2.0}}` is the conjugated predictor.
template <Predictor Inner, InvertibleMap Map>
requires(!Task<Inner>) [[nodiscard]] Conjugated<Inner, Map> operator|(Inner predictor,
                                                                      const ConjugatePrompt<Map>& conjugate) {
  return Conjugated<Inner, Map>(std::move(predictor), conjugate.map());
}

INCONTEXT_NAMESPACE_END
