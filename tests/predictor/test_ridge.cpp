#include "incontext/predictor/ridge.hpp"

#include "incontext/map/scale_labels.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("ridge");

// log N(y; 0, weight_scale^2 XX' + noise^2 I) from a Cholesky factor of the whole matrix.
struct DenseEvidence {
  double value = 0.0;
  double error = 0.0;

  DenseEvidence(const Prompts& prompts, Index prompt, Index exemplars, double noise, double weight_scale) {
    const auto size = static_cast<double>(exemplars);
    if (exemplars == 0) {
      return;
    }
    const Eigen::MatrixXd inputs = prompts.inputs_of(prompt).topRows(exemplars);
    const Vector labels = prompts.labels.row(prompt).head(exemplars).transpose();
    Eigen::MatrixXd covariance = weight_scale * weight_scale * inputs * inputs.transpose();
    covariance.diagonal().array() += noise * noise;
    const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
    const double square = labels.dot(factor.solve(labels));
    const double half_log_determinant = factor.matrixLLT().diagonal().array().log().sum();
    value = -0.5 * square - half_log_determinant - 0.5 * size * std::log(8.0 * std::atan(1.0));
    // A relative perturbation eta of the covariance changes each log eigenvalue and the square by at most eta kappa,
    // relatively; the Cholesky factor has eta <= (k + 1) k epsilon / 2, forming the matrix (d + 2) epsilon, and the
    // terms of the sum another epsilon each.
    const Vector values = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(covariance).eigenvalues();
    const double condition = values[exemplars - 1] / values[0];
    const double eta = (size * (size + 1.0) + static_cast<double>(prompts.dimension) + 2.0) * epsilon;
    error = 2.0 * eta * condition * (square + size) + size * epsilon * std::abs(half_log_determinant);
  }
};

}  // namespace

TEST_CASE("law 2: conjugating ridge regression by label scaling changes nothing") {
  for (const double noise : {0.0, 0.5}) {
    const Ridge ridge{{.noise = noise, .weight_scale = 1.5}};
    const Prompts prompts = gaussian_prompts(20, 14, 5, 0.5, root.fold("law 2"));
    const Predictions plain = ridge.predict(prompts);
    for (const double gamma : {2.0, -0.25}) {
      // Powers of two change exponents only, and ridge is linear in the labels: so not a bit changes.
      const ScaleLabels map(gamma);
      CHECK(map.invert_predictions(ridge.predict(map.apply(prompts)), prompts) == plain);
    }
    for (const double gamma : {1.5, 3.0, -0.7}) {
      const ScaleLabels map(gamma);
      const Predictions conjugated = map.invert_predictions(ridge.predict(map.apply(prompts)), prompts);
      check_least_squares(conjugated, prompts, noise / 1.5);
    }
  }
}

TEST_CASE("law 8: ridge does not depend on the order of the exemplars") {
  for (const double noise : {0.0, 1e-6, 0.5}) {
    const Ridge ridge{{.noise = noise}};
    check_order(ridge, gaussian_prompts(10, 4, 5, 0.5, root.fold("few")), noise, root.fold("order"));
    check_order(ridge, gaussian_prompts(10, 15, 5, 0.5, root.fold("many")), noise, root.fold("order"));
    check_order(ridge, dependent_prompts(10, 13, 5, 0.0, root.fold("dependent")), noise, root.fold("order"));
  }
}

TEST_CASE("ridge is the dense solution at every point") {
  for (const double weight_scale : {1.0, 3.0}) {
    for (const double noise : {0.0, 1e-6, 0.7, 30.0}) {
      CAPTURE(weight_scale);
      CAPTURE(noise);
      const Ridge ridge{{.noise = noise, .weight_scale = weight_scale}};
      const double regularisation = noise / weight_scale;
      for (const double label_noise : {0.0, 0.7}) {
        const Prompts independent = gaussian_prompts(6, 14, 5, label_noise, root.fold("independent"));
        check_least_squares(ridge.predict(independent), independent, regularisation);
        const Prompts dependent = dependent_prompts(6, 14, 5, label_noise, root.fold("dependent"));
        check_least_squares(ridge.predict(dependent), dependent, regularisation);
      }
    }
  }
}

TEST_CASE("ridge keeps the contract of a predictor") {
  check_contract(Ridge{{.noise = 0.5}}, gaussian_prompts(3, 9, 3, 0.5, root));
  check_contract(Ridge{{.noise = 0.0}}, dependent_prompts(3, 9, 3, 0.5, root));
  const Prompts prompts = gaussian_prompts(4, 3, 5, 0.5, root);
  CHECK((Ridge{{.noise = 0.5}}.predict(prompts).col(0).array() == 0.0).all());
}

TEST_CASE("ridge evidence is the Gaussian density of the labels") {
  const Ridge ridge{{.noise = 0.7, .weight_scale = 1.5}};
  for (const Prompts& prompts :
       {gaussian_prompts(5, 12, 5, 0.7, root.fold("a")), dependent_prompts(5, 12, 5, 0.7, root.fold("b"))}) {
    const Inference inference = ridge.infer(prompts);
    CHECK((inference.log_evidence.col(0).array() == 0.0).all());
    CHECK(ridge.log_evidence(prompts) == inference.log_evidence);
    check_least_squares(inference.predictions, prompts, 0.7 / 1.5);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 0; point < prompts.points; ++point) {
        const DenseEvidence dense(prompts, prompt, point, 0.7, 1.5);
        CHECK(std::abs(inference.log_evidence(prompt, point) - dense.value) <= dense.error);
      }
    }
  }
}

TEST_CASE("ridge weights give the predictions") {
  const Ridge ridge{{.noise = 0.5}};
  const Prompts prompts = gaussian_prompts(5, 12, 5, 0.5, root.fold("weights"));
  const Predictions predictions = ridge.predict(prompts);
  CHECK((ridge.weights(prompts, 0).array() == 0.0).all());
  for (Index point = 0; point < prompts.points; ++point) {
    const RowMatrix<double> weights = ridge.weights(prompts, point);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const DenseLeastSquares dense(prompts, prompt, point, 0.5);
      const auto input = prompts.inputs_of(prompt).row(point);
      CHECK(std::abs(weights.row(prompt).dot(input) - predictions(prompt, point)) <= dense.weight_error * input.norm());
    }
  }
  CHECK(ridge.weights(prompts, prompts.points).rows() == prompts.count);
}

TEST_CASE("ridge is finite at the extremes") {
  const Prompts prompts = extreme_prompts(5, root.fold("extreme"));
  for (const double noise : {0.0, smallest_noise, 1e-12, 1e-6, 1e6}) {
    for (const double weight_scale : {1e-6, 1.0, 1e6}) {
      CAPTURE(noise);
      CAPTURE(weight_scale);
      const Ridge ridge{{.noise = noise, .weight_scale = weight_scale}};
      const Predictions predictions = ridge.predict(prompts);
      CHECK(predictions.allFinite());
      CHECK((predictions.row(1).array() == 0.0).all());  // all inputs are zero
      CHECK((predictions.row(4).array() == 0.0).all());  // all labels are zero
      if (noise > 0.0) {
        CHECK(ridge.log_evidence(prompts).allFinite());
      }
    }
  }
}

TEST_CASE("ridge forgets its noise gracefully: equal inputs average their labels") {
  // Two equal inputs with labels 1 and 3: without noise, or with noise far below rounding, w . x = 2.
  Prompts prompts(1, 3, 4);
  prompts.inputs.rowwise() = Eigen::RowVector4d(0.1, -0.7, 0.3, 1.9);
  prompts.labels << 1.0, 3.0, 0.0;
  for (const double noise : {0.0, smallest_noise, 1e-30, 1e-14, 1e-9}) {
    CAPTURE(noise);
    // A rotation or two of numbers up to 3; the noise itself moves the answer by its square.
    CHECK(std::abs(Ridge{{.noise = noise}}.predict(prompts)(0, 2) - 2.0) <= 32.0 * epsilon);
  }
}

TEST_CASE("ridge refuses settings that make no sense") {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double noise : {-1.0, -1e-300, 1e-200, not_a_number, infinity}) {
    CHECK_THROWS_AS((Ridge{{.noise = noise}}), ConfigurationError);
  }
  for (const double weight_scale : {0.0, -1.0, not_a_number, infinity}) {
    CHECK_THROWS_AS((Ridge{{.noise = 1.0, .weight_scale = weight_scale}}), ConfigurationError);
  }
  const Prompts prompts = gaussian_prompts(1, 3, 2, 0.0, root);
  CHECK_THROWS_AS((void)Ridge{{.noise = 0.0}}.log_evidence(prompts), ConfigurationError);
  CHECK_THROWS_AS((void)Ridge{{.noise = 1.0}}.weights(prompts, 4), ShapeError);
  CHECK_THROWS_AS((void)Ridge{{.noise = 1.0}}.weights(prompts, -1), ShapeError);
}
