#include "incontext/predictor/gradient_descent.hpp"

#include "incontext/predictor/averaging.hpp"
#include "incontext/predictor/minimum_norm.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("gradient descent");

// The largest eigenvalue of X'X / k, half the curvature of the mean squared error, over all prompts and points.
double largest_curvature(const Prompts& prompts) {
  double largest = 0.0;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 1; point < prompts.points; ++point) {
      const Eigen::MatrixXd inputs = prompts.inputs_of(prompt).topRows(point);
      const Vector values = Eigen::JacobiSVD<Eigen::MatrixXd>(inputs).singularValues();
      largest = (std::max)(largest, values[0] * values[0] / static_cast<double>(point));
    }
  }
  return largest;
}

// A step at a rate that converges maps weights w to (I - (2 rate / k) X'X) w + ..., of norm at most 1: rounding
// errors add up. Each step commits at most (k + d + 4) epsilon times the size of what it adds, and the sizes of all
// additions sum to less than `steps` times (||w|| + rate * 2 ||X'y|| / k).
double rounding_error(const Prompts& prompts, Index prompt, Index point, const GradientDescent::Settings& settings) {
  const auto inputs = prompts.inputs_of(prompt);
  const double correlation =
      (inputs.topRows(point).transpose() * prompts.labels.row(prompt).head(point).transpose()).norm() /
      static_cast<double>(point);
  const double largest = 2.0 * settings.rate * correlation * static_cast<double>(settings.steps);
  const double roundings = static_cast<double>(point + prompts.dimension + 4);
  return static_cast<double>(settings.steps) * roundings * epsilon * largest * inputs.row(point).norm();
}

}  // namespace

TEST_CASE("law 8: gradient descent does not depend on the order of the exemplars") {
  const GradientDescent predictor{{.steps = 20, .rate = 0.05}};
  const Prompts prompts = gaussian_prompts(10, 12, 5, 0.5, root.fold("law 8"));
  const Predictions before = predictor.predict(prompts);
  const Predictions after = predictor.predict(reordered(prompts, root.fold("order")));
  const Index last = prompts.points - 1;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    const double tolerance = 2.0 * rounding_error(prompts, prompt, last, predictor.settings());
    CHECK(std::abs(before(prompt, last) - after(prompt, last)) <= tolerance);
  }
}

TEST_CASE("gradient descent takes its steps on the mean squared error, afresh at every point") {
  const Prompts prompts = gaussian_prompts(6, 9, 4, 0.5, root.fold("steps"));
  for (const Index steps : {1, 2, 7, 50}) {
    const GradientDescent predictor{{.steps = steps, .rate = 0.03}};
    const Predictions predictions = predictor.predict(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 1; point < prompts.points; ++point) {
        const Eigen::MatrixXd inputs = prompts.inputs_of(prompt).topRows(point);
        const Vector labels = prompts.labels.row(prompt).head(point).transpose();
        Vector weights = Vector::Zero(prompts.dimension);
        for (Index step = 0; step < steps; ++step) {
          const Vector gradient = 2.0 / static_cast<double>(point) * inputs.transpose() * (inputs * weights - labels);
          weights -= 0.03 * gradient;
        }
        const double expected = weights.dot(prompts.inputs_of(prompt).row(point).transpose());
        const double tolerance = 2.0 * rounding_error(prompts, prompt, point, predictor.settings());
        CHECK(std::abs(predictions(prompt, point) - expected) <= tolerance);
      }
    }
  }
}

TEST_CASE("no steps predict 0, and one step of rate 1/2 is averaging") {
  const Prompts prompts = gaussian_prompts(6, 9, 4, 0.5, root.fold("one"));
  CHECK((GradientDescent{{.steps = 0, .rate = 0.1}}.predict(prompts).array() == 0.0).all());
  const GradientDescent one{{.steps = 1, .rate = 0.5}};
  const Predictions difference = one.predict(prompts) - Averaging{}.predict(prompts);
  CHECK((one.predict(prompts).col(0).array() == 0.0).all());
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 1; point < prompts.points; ++point) {
      CHECK(std::abs(difference(prompt, point)) <= 2.0 * rounding_error(prompts, prompt, point, one.settings()));
    }
  }
}

TEST_CASE("many steps of gradient descent reach minimum-norm least squares") {
  const Prompts prompts = gaussian_prompts(4, 9, 3, 0.5, root.fold("converge"));
  const double rate = 0.5 / largest_curvature(prompts);
  const Index steps = 4000;
  const GradientDescent predictor{{.steps = steps, .rate = rate}};
  const Predictions descended = predictor.predict(prompts);
  const Predictions exact = MinimumNorm{}.predict(prompts);
  Index converged = 0;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 1; point < prompts.points; ++point) {
      const Vector values =
          Eigen::JacobiSVD<Eigen::MatrixXd>(prompts.inputs_of(prompt).topRows(point)).singularValues();
      const double smallest = values[values.size() - 1];
      const DenseLeastSquares dense(prompts, prompt, point, 0.0);
      // What is left of the slowest component after all steps.
      const double slowest = 2.0 * rate * smallest * smallest / static_cast<double>(point);
      const double left = std::pow(1.0 - slowest, static_cast<double>(steps)) * dense.weights.norm();
      const double input = prompts.inputs_of(prompt).row(point).norm();
      const double tolerance =
          (left + dense.weight_error) * input + rounding_error(prompts, prompt, point, predictor.settings());
      CHECK(std::abs(descended(prompt, point) - exact(prompt, point)) <= tolerance);
      converged += left <= 1e-6 * dense.weights.norm() ? 1 : 0;
    }
  }
  CHECK(converged >= prompts.count * (prompts.points - 1) / 2);  // so that the comparison says something
}

TEST_CASE("gradient descent keeps the contract of a predictor") {
  check_contract(GradientDescent{{.steps = 5, .rate = 0.05}}, gaussian_prompts(3, 9, 3, 0.5, root));
  CHECK(GradientDescent{{.steps = 50, .rate = 0.01}}.predict(extreme_prompts(5, root)).allFinite());
}

TEST_CASE("gradient descent refuses settings that make no sense") {
  CHECK_THROWS_AS((GradientDescent{{.steps = -1, .rate = 0.1}}), ConfigurationError);
  for (const double rate :
       {0.0, -0.1, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS((GradientDescent{{.steps = 1, .rate = rate}}), ConfigurationError);
  }
}
