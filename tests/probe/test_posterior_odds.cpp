#include "incontext/probe/posterior_odds.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace incontext;

namespace {

Predictions random_predictions(const char* name) {
  Predictions predictions(64, 5);
  Stream stream(Key{1}.fold(name));
  stream.fill_normal(predictions.data(), predictions.data() + predictions.size());
  return predictions;
}

}  // namespace

TEST_CASE("it recovers the mixture that outputs were made of, at every number of exemplars") {
  const Predictions pool = random_predictions("pool");
  const Predictions ridge = random_predictions("ridge");
  Vector truth(5);
  truth << 0.0, 0.25, 0.8, 1.0, -0.5;  // an estimate is not bound to [0, 1]
  Predictions model = ridge;
  for (Index point = 0; point < 5; ++point) {
    model.col(point) = truth[point] * pool.col(point) + (1.0 - truth[point]) * ridge.col(point);
  }
  const Vector fitted = fitted_pool_probability(model, pool, ridge);
  // A mixture takes 4 roundings of numbers that are at most a few times as large as the typical difference of the
  // references, and the two sums 64 each that average out.
  CHECK((fitted - truth).cwiseAbs().maxCoeff() <= 64.0 * std::numeric_limits<double>::epsilon());
  CHECK(fitted_pool_probability(ridge, pool, ridge).isZero(0.0));
  CHECK((fitted_pool_probability(pool, pool, ridge).array() == 1.0).all());
}

TEST_CASE("it is the least-squares fit: the residual is orthogonal to the direction") {
  const Predictions pool = random_predictions("pool");
  const Predictions ridge = random_predictions("ridge");
  const Predictions model = random_predictions("model");
  const Vector fitted = fitted_pool_probability(model, pool, ridge);
  for (Index point = 0; point < 5; ++point) {
    const Vector direction = pool.col(point) - ridge.col(point);
    const Vector residual = model.col(point) - ridge.col(point) - fitted[point] * direction;
    // An inner product of 64 terms, each with a few roundings.
    CHECK(std::abs(residual.dot(direction)) <=
          68.0 * std::numeric_limits<double>::epsilon() * residual.norm() * direction.norm());
  }
}

TEST_CASE("it is NaN where the references agree on every prompt, and only there") {
  Predictions pool = random_predictions("pool");
  const Predictions ridge = random_predictions("ridge");
  pool.col(2) = ridge.col(2);
  const Vector fitted = fitted_pool_probability(random_predictions("model"), pool, ridge);
  for (Index point = 0; point < 5; ++point) {
    CHECK(std::isnan(fitted[point]) == (point == 2));
  }
}

TEST_CASE("predictions of different shapes are refused by their shapes") {
  const Predictions five = random_predictions("pool");
  const Predictions four = five.leftCols(4);
  CHECK_THROWS_WITH_AS(static_cast<void>(fitted_pool_probability(five, four, five)),
                       "fitted_pool_probability: predictions of [64, 5], [64, 4] and [64, 5], expected one shape",
                       ShapeError);
  CHECK_THROWS_AS(static_cast<void>(fitted_pool_probability(five, five, four)), ShapeError);
  CHECK_THROWS_AS(static_cast<void>(fitted_pool_probability(five, five, five.topRows(3))), ShapeError);
}
