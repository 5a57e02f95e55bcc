#include "incontext/nn/loss.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using incontext::ConfigurationError;
using incontext::CrossEntropy;
using incontext::Index;
using incontext::Key;
using incontext::Prompts;
using incontext::ShapeError;
using incontext::SquaredError;
using incontext::Stream;
using incontext::TokenBatch;

namespace {

Prompts example_prompts() {
  Prompts prompts(2, 3, 1);
  prompts.labels << 1.0, -2.0, 0.5, 3.0, 0.0, -1.0;
  prompts.targets.setConstant(100.0);  // the loss reads the labels
  return prompts;
}

double squared_error(const SquaredError& loss, const Prompts& prompts, const std::vector<double>& predictions,
                     Index first_point = 0) {
  const double total = loss.total_weight(prompts, first_point);
  double sum = 0.0;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = first_point; point < prompts.points; ++point) {
      double derivative = 0.0;
      sum += loss(prompts, prompt, point, predictions[static_cast<std::size_t>(prompt * prompts.points + point)], total,
                  derivative);
    }
  }
  return sum;
}

// Six tokens over a vocabulary of five.
TokenBatch example_batch() {
  return {.count = 2,
          .length = 3,
          .tokens = {0, 1, 2, 2, 1, 0},
          .targets = {4, 2, 0, 3, 0, 2},
          .weights = {1.0, 0.0, 0.5, 2.0, 1.0, 1.0}};
}

std::vector<double> example_logits() {
  std::vector<double> logits(30);
  Stream(Key{1}).fill_normal(logits.begin(), logits.end(), 3.0);
  return logits;
}

template <class Scalar>
double cross_entropy(const TokenBatch& batch, const std::vector<Scalar>& logits, std::vector<Scalar>& d_logits) {
  const CrossEntropy loss;
  const double total = loss.total_weight(batch);
  d_logits.assign(logits.size(), std::numeric_limits<Scalar>::quiet_NaN());
  double sum = 0.0;
  for (Index token = 0; token < 6; ++token) {
    sum += loss(batch, token, logits.data() + 5 * token, 5, total, d_logits.data() + 5 * token);
  }
  return sum;
}

}  // namespace

TEST_CASE("squared error is the mean over prompts and points, against the labels") {
  const std::vector<double> predictions = {1.5, -2.0, 0.0, 1.0, 1.0, -1.0};
  // Errors 0.5, 0, -0.5, -2, 1, 0.
  CHECK(squared_error({}, example_prompts(), predictions) == doctest::Approx(5.5 / 6.0).epsilon(1e-15));
  // From the last point on: -0.5 and 0.
  CHECK(squared_error({}, example_prompts(), predictions, 2) == doctest::Approx(0.25 / 2.0).epsilon(1e-15));
}

TEST_CASE("weights of points: an average by weight, and a weight of zero masks") {
  const std::vector<double> predictions = {1.5, -2.0, 0.0, 1.0, 1.0, -1.0};
  const SquaredError loss{{2.0, 0.0, 1.0}};
  CHECK(loss.total_weight(example_prompts(), 0) == 6.0);
  CHECK(squared_error(loss, example_prompts(), predictions) ==
        doctest::Approx((2.0 * 0.25 + 2.0 * 4.0 + 0.25) / 6.0).epsilon(1e-15));
  std::vector<double> masked = predictions;
  masked[1] = 1e6;
  CHECK(squared_error(loss, example_prompts(), masked) == squared_error(loss, example_prompts(), predictions));
  // Common factors cancel; more weights than points serve a curriculum.
  CHECK(squared_error(SquaredError{{4.0, 0.0, 2.0, 9.0}}, example_prompts(), predictions) ==
        doctest::Approx(squared_error(loss, example_prompts(), predictions)).epsilon(1e-15));
}

TEST_CASE("the derivative of the squared error is that of a parabola, exactly") {
  const Prompts prompts = example_prompts();
  const SquaredError loss{{2.0, 1.0, 1.0}};
  const double total = loss.total_weight(prompts, 0);
  double derivative = 0.0;
  double unused = 0.0;
  (void)loss(prompts, 1, 0, 1.25, total, derivative);
  // A central difference is exact for a parabola; these numbers are exact up to the division by the total.
  const double above = loss(prompts, 1, 0, 1.5, total, unused);
  const double below = loss(prompts, 1, 0, 1.0, total, unused);
  CHECK(derivative == doctest::Approx((above - below) / 0.5).epsilon(1e-15));
  float single = 0.0F;
  (void)loss(prompts, 1, 0, 1.25F, total, single);
  CHECK(single == static_cast<float>(derivative));
}

TEST_CASE("squared error refuses weights that make no sense") {
  const auto refused = [](const SquaredError& loss, Index first_point) {
    (void)loss.total_weight(example_prompts(), first_point);
  };
  CHECK_THROWS_WITH_AS(refused({{1.0, 1.0}}, 0), "SquaredError: 2 weights for 3 points, expected one for every point",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(refused({{1.0, -1.0, 1.0}}, 0), "SquaredError: the weight of point 1 is -1, expected at least 0",
                       ConfigurationError);
  CHECK_THROWS_AS(refused({{1.0, std::nan(""), 1.0}}, 0), ConfigurationError);
  CHECK_THROWS_WITH_AS(refused({{1.0, 1.0, 0.0}}, 2),
                       "SquaredError: the weights of the predicted points sum to 0, expected more than 0",
                       ConfigurationError);
}

TEST_CASE("cross-entropy is the weighted mean of -log softmax") {
  const TokenBatch batch = example_batch();
  const std::vector<double> logits = example_logits();
  std::vector<double> d_logits;
  const double loss = cross_entropy(batch, logits, d_logits);
  long double expected = 0.0L;
  for (std::size_t token = 0; token < 6; ++token) {
    long double sum = 0.0L;
    for (std::size_t entry = 0; entry < 5; ++entry) {
      sum += std::exp(static_cast<long double>(logits[5 * token + entry]));
    }
    const auto target = static_cast<std::size_t>(batch.targets[token]);
    expected -=
        batch.weights[token] / 5.5L * std::log(std::exp(static_cast<long double>(logits[5 * token + target])) / sum);
  }
  CHECK(loss == doctest::Approx(static_cast<double>(expected)).epsilon(1e-14));
}

TEST_CASE("equal logits cost the logarithm of the vocabulary") {
  TokenBatch batch = example_batch();
  std::vector<double> d_logits;
  CHECK(cross_entropy(batch, std::vector<double>(30, 2.5), d_logits) == doctest::Approx(std::log(5.0)).epsilon(1e-15));
}

TEST_CASE("the derivative of the cross-entropy agrees with a central difference") {
  const TokenBatch batch = example_batch();
  const std::vector<double> logits = example_logits();
  std::vector<double> d_logits;
  std::vector<double> unused;
  (void)cross_entropy(batch, logits, d_logits);
  // The difference errs by h^2 / 6 times the third derivative, below h^2, and by the rounding of a loss of order one,
  // divided by h: 1e-10 and 1e-11 at h = 1e-5.
  const double step = 1e-5;
  for (std::size_t index = 0; index < logits.size(); ++index) {
    std::vector<double> above = logits;
    std::vector<double> below = logits;
    above[index] += step;
    below[index] -= step;
    const double difference =
        (cross_entropy(batch, above, unused) - cross_entropy(batch, below, unused)) / (2.0 * step);
    CHECK(std::abs(d_logits[index] - difference) <= 2e-10);
  }
  // The gradient of a softmax sums to zero, and a masked token has none.
  for (std::size_t token = 0; token < 6; ++token) {
    double sum = 0.0;
    for (std::size_t entry = 0; entry < 5; ++entry) {
      sum += d_logits[5 * token + entry];
      if (token == 1) {
        CHECK(d_logits[5 * token + entry] == 0.0);
      }
    }
    CHECK(std::abs(sum) <= 1e-15);
  }
}

TEST_CASE_TEMPLATE("cross-entropy is finite for logits of any size", Scalar, float, double) {
  TokenBatch batch = example_batch();
  std::vector<Scalar> logits(30, Scalar(-1e30));
  for (std::size_t token = 0; token < 6; ++token) {
    logits[5 * token + static_cast<std::size_t>(batch.targets[token])] = Scalar(1e30);
  }
  std::vector<Scalar> d_logits;
  CHECK(cross_entropy(batch, logits, d_logits) == 0.0);
  for (const Scalar derivative : d_logits) {
    CHECK(derivative == Scalar{0});
  }
}

TEST_CASE("a target outside the vocabulary is refused, unless it is masked") {
  TokenBatch batch = example_batch();
  std::vector<double> d_logits;
  batch.targets[1] = -100;  // its weight is zero
  CHECK(std::isfinite(cross_entropy(batch, example_logits(), d_logits)));
  batch.targets[2] = 5;
  CHECK_THROWS_WITH_AS((void)cross_entropy(batch, example_logits(), d_logits),
                       "target 5 is outside the vocabulary of 5", ShapeError);
  batch.targets[2] = -1;
  CHECK_THROWS_AS((void)cross_entropy(batch, example_logits(), d_logits), ShapeError);
}
