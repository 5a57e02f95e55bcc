#include "incontext/predictor/growing_least_squares.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("growing least squares");

}  // namespace

TEST_CASE("growing least squares gives predictions, leverages and weights of the dense solution") {
  const double regularisation = 0.3;
  const Index dimension = 4;
  const Prompts prompts = dependent_prompts(6, 12, dimension, 0.5, root);
  GrowingLeastSquares regression(dimension, regularisation);
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    regression.restart();
    for (Index point = 0; point < prompts.points; ++point) {
      const auto inputs = prompts.inputs_of(prompt);
      const DenseLeastSquares dense(prompts, prompt, point, regularisation);
      const Vector input = inputs.row(point).transpose();
      regression.query(input.data());
      CHECK(std::abs(regression.prediction() - dense.weights.dot(input)) <= dense.weight_error * input.norm());
      CHECK((regression.weights() - dense.weights).norm() <= dense.weight_error);

      Eigen::MatrixXd gram = inputs.topRows(point).transpose() * inputs.topRows(point);
      gram.diagonal().array() += regularisation * regularisation;
      const double leverage = input.dot(gram.llt().solve(input));
      // Inverting the Gram matrix loses its condition number, in each of d (d + 1) / 2 entries and k products.
      const double condition = gram.norm() / (regularisation * regularisation);
      const double operations = static_cast<double>(dimension * (dimension + 1) + point);
      CHECK(std::abs(regression.leverage() - leverage) <= 2.0 * operations * condition * epsilon * leverage);
      regression.append(prompts.labels(prompt, point));
    }
  }
}

TEST_CASE("growing least squares starts again from nothing") {
  const Prompts prompts = gaussian_prompts(1, 6, 3, 0.5, root.fold("restart"));
  GrowingLeastSquares used(3, 0.0);
  for (Index point = 0; point < prompts.points; ++point) {
    used.query(prompts.inputs.row(point).data());
    used.append(prompts.labels(0, point));
  }
  used.restart();
  CHECK(used.weights() == Vector::Zero(3));
  GrowingLeastSquares fresh(3, 0.0);
  for (Index point = 0; point < prompts.points; ++point) {
    used.query(prompts.inputs.row(point).data());
    fresh.query(prompts.inputs.row(point).data());
    CHECK(used.prediction() == fresh.prediction());
    CHECK(used.leverage() == fresh.leverage());
    used.append(prompts.labels(0, point));
    fresh.append(prompts.labels(0, point));
  }
  CHECK(used.weights() == fresh.weights());
}

TEST_CASE("without regularisation the leverage of a new direction is infinite") {
  GrowingLeastSquares regression(2, 0.0);
  const Vector first = Vector::Unit(2, 0);
  const Vector second = Vector::Unit(2, 1);
  regression.query(first.data());
  CHECK(std::isinf(regression.leverage()));
  CHECK(regression.prediction() == 0.0);
  regression.append(2.0);
  regression.query(first.data());
  CHECK(regression.leverage() == 1.0);
  CHECK(regression.prediction() == 2.0);
  regression.query(second.data());
  CHECK(std::isinf(regression.leverage()));
  CHECK(regression.prediction() == 0.0);
}

TEST_CASE("growing least squares is finite for any regularisation, and tiny ones are none") {
  const Prompts prompts = gaussian_prompts(1, 8, 3, 0.5, root.fold("regularisation"));
  const auto predictions = [&prompts](double regularisation) {
    GrowingLeastSquares regression(3, regularisation);
    Vector values(prompts.points);
    for (Index point = 0; point < prompts.points; ++point) {
      regression.query(prompts.inputs.row(point).data());
      values[point] = regression.prediction();
      regression.append(prompts.labels(0, point));
    }
    return values;
  };
  for (const double regularisation : {1e-153, 1e-100, 1e100, 1e150, 1e300}) {
    CAPTURE(regularisation);
    CHECK(predictions(regularisation).allFinite());
  }
  CHECK(predictions(1e-200) == predictions(0.0));
  CHECK(predictions(1e200).cwiseAbs().maxCoeff() < 1e-290);
}
