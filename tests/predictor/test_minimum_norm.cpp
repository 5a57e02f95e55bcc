#include "incontext/predictor/minimum_norm.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("minimum norm");

}  // namespace

TEST_CASE("law 8: minimum-norm least squares does not depend on the order of the exemplars") {
  check_order(MinimumNorm{}, gaussian_prompts(10, 4, 5, 0.5, root.fold("few")), 0.0, root.fold("order"));
  check_order(MinimumNorm{}, gaussian_prompts(10, 15, 5, 0.5, root.fold("many")), 0.0, root.fold("order"));
  check_order(MinimumNorm{}, dependent_prompts(10, 13, 5, 0.5, root.fold("dependent")), 0.0, root.fold("order"));
}

TEST_CASE("minimum-norm least squares is the dense solution at every point, whatever the rank") {
  for (const double noise : {0.0, 0.5}) {
    for (const Prompts& prompts :
         {gaussian_prompts(10, 16, 6, noise, root.fold("full")), dependent_prompts(10, 16, 6, noise, root.fold("low")),
          dependent_prompts(4, 30, 1, noise, root.fold("line"))}) {
      check_least_squares(MinimumNorm{}.predict(prompts), prompts, 0.0);
    }
  }
}

TEST_CASE("minimum-norm least squares stays within a subspace that the inputs never leave") {
  // Inputs of 7 dimensions in a random plane of 3, not along any coordinate; queries out of the plane.
  const RowMatrix<double> plane = normal_matrix(3, 7, root.fold("plane"));
  Prompts prompts = gaussian_prompts(10, 12, 7, 0.5, root.fold("subspace"));
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    prompts.inputs_of(prompt).topRows(11) = (normal_matrix(11, 3, root.fold("inside").fold(prompt)) * plane).eval();
  }
  check_least_squares(MinimumNorm{}.predict(prompts), prompts, 0.0);
}

TEST_CASE("minimum-norm least squares interpolates while it can") {
  const Index dimension = 6;
  const Prompts exemplars = gaussian_prompts(10, dimension, dimension, 1.0, root.fold("interpolate"));
  for (Index repeated = 0; repeated < dimension; ++repeated) {
    Prompts prompts(exemplars.count, dimension + 1, dimension);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      prompts.inputs_of(prompt).topRows(dimension) = exemplars.inputs_of(prompt);
      prompts.inputs_of(prompt).row(dimension) = exemplars.inputs_of(prompt).row(repeated);
      prompts.labels.row(prompt).head(dimension) = exemplars.labels.row(prompt);
    }
    const Predictions predictions = MinimumNorm{}.predict(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const DenseLeastSquares dense(prompts, prompt, dimension, 0.0);
      const double tolerance = dense.weight_error * prompts.inputs_of(prompt).row(dimension).norm();
      CHECK(std::abs(predictions(prompt, dimension) - exemplars.labels(prompt, repeated)) <= tolerance);
    }
  }
}

TEST_CASE("minimum-norm least squares does not amplify a difference that rounding made") {
  // The second input differs from the first by 1e-12 in a new direction, and its label by 1: taking the direction
  // for real would put a weight of 1e12 on it.
  Prompts prompts(1, 3, 3);
  prompts.inputs << 1.0, 0.0, 0.0, 1.0, 1e-12, 0.0, 0.0, 1.0, 0.0;
  prompts.labels << 1.0, 2.0, 0.0;
  const Predictions predictions = MinimumNorm{}.predict(prompts);
  CHECK(std::abs(predictions(0, 1) - 1.0) <= 1e-11);
  CHECK(std::abs(predictions(0, 2)) <= 1e-11);
}

TEST_CASE("minimum-norm least squares keeps the contract of a predictor") {
  check_contract(MinimumNorm{}, gaussian_prompts(3, 9, 3, 0.5, root));
  check_contract(MinimumNorm{}, dependent_prompts(3, 9, 3, 0.5, root));
  const Prompts extreme = extreme_prompts(5, root.fold("extreme"));
  const Predictions predictions = MinimumNorm{}.predict(extreme);
  CHECK(predictions.allFinite());
  CHECK((predictions.col(0).array() == 0.0).all());
  CHECK((predictions.row(1).array() == 0.0).all());
}
