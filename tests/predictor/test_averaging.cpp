#include "incontext/predictor/averaging.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("averaging");

}  // namespace

TEST_CASE("law 8: averaging does not depend on the order of the exemplars") {
  const Prompts prompts = gaussian_prompts(20, 12, 5, 0.5, root.fold("law 8"));
  const Predictions before = Averaging{}.predict(prompts);
  const Predictions after = Averaging{}.predict(reordered(prompts, root.fold("order")));
  const Index last = prompts.points - 1;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    // Two sums of k terms, each within (k + d + 2) epsilon / 2 of the sum of the terms' sizes.
    const auto inputs = prompts.inputs_of(prompt);
    double size = 0.0;
    for (Index point = 0; point < last; ++point) {
      size += std::abs(prompts.labels(prompt, point)) * inputs.row(point).cwiseAbs().dot(inputs.row(last).cwiseAbs());
    }
    const double terms = static_cast<double>(prompts.points + prompts.dimension + 2);
    const double tolerance = terms * epsilon * size / static_cast<double>(last);
    CHECK(std::abs(before(prompt, last) - after(prompt, last)) <= tolerance);
  }
}

TEST_CASE("averaging by hand") {
  Prompts prompts(1, 3, 2);
  prompts.inputs << 1.0, 2.0, -1.0, 0.5, 4.0, -2.0;
  prompts.labels << 3.0, 2.0, 100.0;
  const Predictions predictions = Averaging{}.predict(prompts);
  CHECK(predictions(0, 0) == 0.0);
  // w = (3, 6)
  CHECK(predictions(0, 1) == 0.0);
  // w = ((3, 6) + (-2, 1)) / 2 = (0.5, 3.5)
  CHECK(predictions(0, 2) == -5.0);
}

TEST_CASE("averaging keeps the contract of a predictor") {
  check_contract(Averaging{}, gaussian_prompts(3, 7, 3, 0.5, root));
  CHECK(Averaging{}.predict(extreme_prompts(5, root)).allFinite());
}
