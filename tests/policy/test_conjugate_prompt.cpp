#include "incontext/policy/conjugate_prompt.hpp"

#include "incontext/map/flip_sign.hpp"
#include "incontext/map/permute_coordinates.hpp"
#include "incontext/map/rotate_inputs.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/policy/evaluate.hpp"
#include "incontext/policy/fork.hpp"
#include "incontext/predictor/pool_posterior.hpp"
#include "policy/small_study.hpp"
#include "task/same_bits.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

Prompts some_prompts() { return narrow_task().sample(Key{12}, 40); }
Ridge ridge() { return Ridge{{.noise = 0.5}}; }
PoolPosterior pool_posterior() { return PoolPosterior(narrow_task().weights(), {.noise = 0.5}); }

/// A predictor that does not look alike from any side: it tells coordinates, their order and their signs apart.
struct Lopsided {
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 0; point < prompts.points; ++point) {
        const auto input = prompts.inputs_of(prompt).row(point);
        const double label = point == 0 ? 1.0 : prompts.labels(prompt, point - 1);
        predictions(prompt, point) = 3.0 * input[0] + input[0] * input[1] + label * label;
      }
    }
    return predictions;
  }
};

RotateInputs quarter_turn() {
  RowMatrix<double> rotation(2, 2);
  rotation << 0.0, -1.0, 1.0, 0.0;
  return RotateInputs(rotation);
}
PermuteCoordinates swap() { return PermuteCoordinates({1, 0}); }

/// Maps labels y to y + 1, to tell the order of label maps: it does not commute with scaling.
struct ShiftLabels {
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    prompts.labels.array() += 1.0;
    prompts.targets.array() += 1.0;
    return prompts;
  }
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    prompts.labels.array() -= 1.0;
    prompts.targets.array() -= 1.0;
    return prompts;
  }
  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const {
    predictions.array() -= 1.0;
    return predictions;
  }
};

std::vector<double> values_of(const std::vector<Record>& records, const std::string& predictor) {
  std::vector<double> values;
  for (const Record& record : records) {
    if (record.predictor == predictor) {
      values.push_back(record.value);
    }
  }
  return values;
}

}  // namespace

TEST_CASE("law 2: conjugating ridge regression by label scaling changes nothing") {
  const Prompts prompts = some_prompts();
  const Predictions expected = ridge().predict(prompts);
  // Ridge is linear in the labels. A power of two changes exponents only, so every rounding is the same; a zero may
  // come back with the other sign.
  for (const double gamma : {2.0, -1.0, 0.25}) {
    CAPTURE(gamma);
    CHECK(bool((ridge() | ConjugatePrompt{ScaleLabels{gamma}}).predict(prompts) == expected));
  }
  CHECK(bool((ridge() | ConjugatePrompt{FlipSign{}}).predict(prompts) == expected));
  // Otherwise scaling and dividing round each label and each prediction once, and the regression rounds differently.
  // With noise 0.5 and 3 exemplars (X'X + 0.25 I) has a condition number below (4 * 3 * 16 + 0.25) / 0.25 < 1e3, and
  // a prediction takes fewer than 100 roundings.
  const double tolerance = 100.0 * 1e3 * std::numeric_limits<double>::epsilon() * prompts.labels.cwiseAbs().maxCoeff();
  for (const double gamma : {1.5, 3.0, -0.7}) {
    CAPTURE(gamma);
    const Predictions scaled = (ridge() | ConjugatePrompt{ScaleLabels{gamma}}).predict(prompts);
    CHECK((scaled - expected).cwiseAbs().maxCoeff() <= tolerance);
  }
}

TEST_CASE("law 2: conjugating a pool posterior by label scaling changes it") {
  const Prompts prompts = some_prompts();
  const Predictions expected = pool_posterior().predict(prompts);
  const Predictions scaled = (pool_posterior() | ConjugatePrompt{ScaleLabels{2.0}}).predict(prompts);
  // Without exemplars the posterior is the mean of the pool: s^-1 of it is half of it.
  CHECK(same_bits(scaled.col(0), 0.5 * expected.col(0)));
  CHECK((scaled - expected).cwiseAbs().maxCoeff() > 0.1 * expected.cwiseAbs().maxCoeff());
}

TEST_CASE("law 5: an identity conjugation of a predictor is the identity") {
  const Prompts prompts = some_prompts();
  CHECK(same_bits((Lopsided{} | ConjugatePrompt{Identity{}}).predict(prompts), Lopsided{}.predict(prompts)));
}

TEST_CASE("a conjugation is the map, the predictor, and the inverse on its predictions") {
  const Prompts prompts = some_prompts();
  const auto conjugated = Lopsided{} | ConjugatePrompt{ShiftLabels{}};
  static_assert(Predictor<std::remove_const_t<decltype(conjugated)>>);
  const Predictions expected = (Lopsided{}.predict(ShiftLabels{}.apply(prompts)).array() - 1.0).matrix();
  CHECK(same_bits(conjugated.predict(prompts), expected));
}

TEST_CASE("of two conjugations the newest meets the prompt first") {
  const Prompts prompts = some_prompts();
  const auto check = [&](const auto& first, const auto& second) {
    const Predictions twice = (Lopsided{} | ConjugatePrompt{first} | ConjugatePrompt{second}).predict(prompts);
    const Predictions composed = (Lopsided{} | ConjugatePrompt{second | first}).predict(prompts);
    const Predictions other = (Lopsided{} | ConjugatePrompt{first | second}).predict(prompts);
    CHECK(same_bits(twice, composed));
    CHECK_FALSE(same_bits(twice, other));
  };
  check(quarter_turn(), swap());  // these maps do not commute
  check(swap(), quarter_turn());
  check(ScaleLabels{2.0}, ShiftLabels{});
  check(ShiftLabels{}, ScaleLabels{2.0});
}

TEST_CASE("stages conjugate a run as predictors are conjugated, in the same order") {
  Suite suite{{.prompts = 40, .key = Key{3}}};
  suite.task("narrow", narrow_task()).reference("lopsided", Lopsided{});
  const auto check = [&](const auto& first, const auto& second) {
    const auto run = (ConjugatePrompt{first} | ConjugatePrompt{second} | Evaluate{"conjugated", suite})(small_start());
    Suite by_hand{{.prompts = 40, .key = Key{3}}};
    by_hand.task("narrow", narrow_task())
        .reference("lopsided", Lopsided{} | ConjugatePrompt{first} | ConjugatePrompt{second})
        .reference("model", small_model() | ConjugatePrompt{first} | ConjugatePrompt{second});
    const auto expected = run_stage(Evaluate{"plain", by_hand}, small_start());
    CHECK(values_of(run.records(), "lopsided") == values_of(expected.records(), "lopsided"));
    CHECK(values_of(run.records(), "transformer") == values_of(expected.records(), "model"));
    CHECK_FALSE(values_of(run.records(), "transformer") == values_of(expected.records(), "transformer"));
    CHECK(same_parameters(run.model().parameters(), small_model().parameters()));
  };
  check(quarter_turn(), swap());
  check(ScaleLabels{3.0}, ShiftLabels{});
}

TEST_CASE("law 2: in a conjugated evaluation ridge stays as it was, and the pool posterior does not") {
  Suite suite{{.prompts = 40, .key = Key{3}}};
  suite.task("narrow", narrow_task()).reference("ridge", ridge()).reference("pool", pool_posterior());
  const auto run = fork(Evaluate{"plain", suite}, ConjugatePrompt{ScaleLabels{2.0}} | Evaluate{"scaled", suite})
                       .apply(small_start());
  const auto half = static_cast<Index>(run.records().size() / 2);
  const std::vector<Record> plain(run.records().begin(), run.records().begin() + half);
  const std::vector<Record> scaled(run.records().begin() + half, run.records().end());
  CHECK(values_of(scaled, "ridge") == values_of(plain, "ridge"));
  CHECK_FALSE(values_of(scaled, "pool") == values_of(plain, "pool"));
}
