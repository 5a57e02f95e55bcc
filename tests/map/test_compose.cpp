#include "incontext/map/compose.hpp"

#include "../task/same_bits.hpp"
#include "incontext/map/flip_sign.hpp"
#include "incontext/map/identity.hpp"
#include "incontext/map/permute_coordinates.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "incontext/map/rotate_inputs.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

namespace {

/// Subtracts from labels and targets the first coordinate of x: an inverse on predictions that depends on the prompts.
struct SubtractFirstCoordinate {
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    prompts.labels -= first_coordinates(prompts);
    prompts.targets -= first_coordinates(prompts);
    return prompts;
  }
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    prompts.labels += first_coordinates(prompts);
    prompts.targets += first_coordinates(prompts);
    return prompts;
  }
  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts& prompts) const {
    return predictions + first_coordinates(prompts);
  }
  [[nodiscard]] static RowMatrix<double> first_coordinates(const Prompts& prompts) {
    RowMatrix<double> coordinates(prompts.count, prompts.points);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      coordinates.row(prompt) = prompts.inputs_of(prompt).col(0).transpose();
    }
    return coordinates;
  }
};

/// A map that cannot be undone, and that chooses at random: it folds its name into the key of the prompts.
struct ForgetLabel {
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    Stream stream(prompts.key.fold("ForgetLabel"));
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      prompts.labels(prompt, stream.integer(prompts.points)) = 0.0;
    }
    return prompts;
  }
};

static_assert(InvertibleMap<SubtractFirstCoordinate> && PromptMap<ForgetLabel> && !InvertibleMap<ForgetLabel>);
static_assert(InvertibleMap<Compose<ScaleLabels, FlipSign>>);
static_assert(PromptMap<Compose<ScaleLabels, ForgetLabel>> && !InvertibleMap<Compose<ScaleLabels, ForgetLabel>>);
static_assert(!InvertibleMap<Compose<ForgetLabel, ScaleLabels>>);

Prompts sample_prompts() { return LinearRegression{{.dimension = 3, .points = 4, .noise = 0.5}}.sample(Key(1), 20); }

}  // namespace

TEST_CASE("Compose: applies the left map first") {
  const Prompts prompts = sample_prompts();
  const PrefixTokens first{{1}};
  const PrefixTokens second{{2}};
  CHECK((first | second).apply(prompts).tokens[0] == 2);
  CHECK(same_bits((first | second).apply(prompts), second.apply(first.apply(prompts))));
}

TEST_CASE("law 1: invert . apply is the identity, for compositions") {
  const Prompts prompts = sample_prompts();
  const auto exact = ScaleLabels{2.0} | PermuteCoordinates{{2, 0, 1}} | PrefixTokens{{4, 5}} | FlipSign{} | Identity{} |
                     PrefixTokens{{6}};
  CHECK(same_bits(exact.invert(exact.apply(prompts)), prompts));
  CHECK(same_bits(exact.invert_predictions(exact.apply(prompts).labels, prompts), prompts.labels));

  const RotateInputs rotation = RotateInputs::random(3, Key(2));
  const auto rounded = rotation | ScaleLabels{3.0} | PermuteCoordinates{{1, 2, 0}};
  const Prompts back = rounded.invert(rounded.apply(prompts));
  // The only roundings are those of the parts: permuting has none.
  CHECK(same_bits(back.inputs, rotation.invert(rotation.apply(prompts)).inputs));
  CHECK(same_bits(back.labels, ScaleLabels{3.0}.invert(ScaleLabels{3.0}.apply(prompts)).labels));
}

TEST_CASE("law 1: invert_predictions undoes each map with the prompts that it was given") {
  const Prompts prompts = sample_prompts();
  // The permutation changes which coordinate is the first: with the wrong prompts, the wrong one would be added.
  const auto map = PermuteCoordinates{{2, 0, 1}} | SubtractFirstCoordinate{} | ScaleLabels{2.0} |
                   PermuteCoordinates{{1, 2, 0}} | SubtractFirstCoordinate{};
  const Predictions back = map.invert_predictions(map.apply(prompts).labels, prompts);
  // Two subtractions and two additions round by half an epsilon each, of numbers no larger than this one, and what
  // happens before the doubling counts less afterwards.
  const double largest = 2.0 * (prompts.labels.cwiseAbs().maxCoeff() + 2.0 * prompts.inputs.cwiseAbs().maxCoeff());
  CHECK((back - prompts.labels).cwiseAbs().maxCoeff() <= 2.0 * std::numeric_limits<double>::epsilon() * largest);
}

TEST_CASE("law 4: composition of maps is associative, bit for bit") {
  const Prompts prompts = sample_prompts();
  const RotateInputs a = RotateInputs::random(3, Key(2));
  const ScaleLabels b{1.7};
  const SubtractFirstCoordinate c;
  const Prompts left = ((a | b) | c).apply(prompts);
  CHECK(same_bits(left, (a | (b | c)).apply(prompts)));
  CHECK(same_bits(((a | b) | c).invert(left), (a | (b | c)).invert(left)));
  CHECK(same_bits(((a | b) | c).invert_predictions(left.labels, prompts),
                  (a | (b | c)).invert_predictions(left.labels, prompts)));
  CHECK(same_bits(((a | ForgetLabel{}) | c).apply(prompts), (a | (ForgetLabel{} | c)).apply(prompts)));
}

TEST_CASE("law 5: the identity map is neutral in compositions") {
  const Prompts prompts = sample_prompts();
  const ScaleLabels map{1.7};
  CHECK(same_bits((map | Identity{}).apply(prompts), map.apply(prompts)));
  CHECK(same_bits((Identity{} | map).apply(prompts), map.apply(prompts)));
}
