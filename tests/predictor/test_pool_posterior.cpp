#include "incontext/predictor/pool_posterior.hpp"

#include "incontext/map/scale_labels.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("pool posterior");

// The posterior as the formula says it, in long double and without regard for time.
struct BruteForce {
  double prediction = 0.0;
  double log_evidence = 0.0;
  double error = 0.0;  ///< of a double computation of the log evidence; times `largest` of the prediction
  double largest = 0.0;

  BruteForce(const RowMatrix<double>& pool, double noise, const Prompts& prompts, Index prompt, Index point) {
    const auto inputs = prompts.inputs_of(prompt);
    std::vector<long double> exponents;
    long double shift = -std::numeric_limits<long double>::infinity();
    long double farthest = 0.0L;
    for (Index task = 0; task < pool.rows(); ++task) {
      long double exponent = 0.0L;
      for (Index exemplar = 0; exemplar < point; ++exemplar) {
        long double residual = prompts.labels(prompt, exemplar);
        for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
          residual -= static_cast<long double>(inputs(exemplar, coordinate)) * pool(task, coordinate);
        }
        exponent -= residual * residual / (2.0L * noise * noise);
      }
      exponents.push_back(exponent);
      shift = (std::max)(shift, exponent);
      farthest = (std::max)(farthest, -exponent);
    }
    long double total = 0.0L;
    long double sum = 0.0L;
    for (Index task = 0; task < pool.rows(); ++task) {
      const long double likelihood = std::exp(exponents[static_cast<std::size_t>(task)] - shift);
      const double output = inputs.row(point).dot(pool.row(task));
      total += likelihood;
      sum += likelihood * static_cast<long double>(output);
      largest = (std::max)(largest, std::abs(output));
    }
    const auto exemplars = static_cast<double>(point);
    const double label_cost = std::log(noise) + 0.5 * std::log(8.0 * std::atan(1.0));
    prediction = static_cast<double>(sum / total);
    log_evidence =
        static_cast<double>(shift + std::log(total / static_cast<long double>(pool.rows()))) - exemplars * label_cost;
    // An exponent is a sum of k squares of inner products of d terms. A residual rounds by (d + 2) epsilon times the
    // sizes that cancel in it, which are bounded by label_size below; the square of the sum by k + 4 more.
    double scale = 0.0;
    const double longest = pool.rowwise().norm().maxCoeff();
    for (Index exemplar = 0; exemplar < point; ++exemplar) {
      const double size = std::abs(prompts.labels(prompt, exemplar)) + inputs.row(exemplar).norm() * longest;
      scale += size * size / (noise * noise);
    }
    const double roundings = static_cast<double>(prompts.dimension + point + 6);
    error = roundings * epsilon * (4.0 + scale + exemplars * std::abs(label_cost) + static_cast<double>(pool.rows()));
    largest *= 2.0;  // a relative error e of every likelihood moves a weighted mean by 2 e times the largest output
  }
};

void check_brute_force(const RowMatrix<double>& pool, double noise, const Prompts& prompts) {
  const PoolPosterior posterior{pool, {.noise = noise}};
  const Predictions predictions = posterior.predict(prompts);
  const Inference inference = posterior.infer(prompts);
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 0; point < prompts.points; ++point) {
      const BruteForce expected(pool, noise, prompts, prompt, point);
      CHECK(std::abs(predictions(prompt, point) - expected.prediction) <= expected.error * expected.largest);
      CHECK(std::abs(inference.predictions(prompt, point) - expected.prediction) <= expected.error * expected.largest);
      CHECK(std::abs(inference.log_evidence(prompt, point) - expected.log_evidence) <= expected.error);
    }
  }
  CHECK(posterior.log_evidence(prompts) == inference.log_evidence);
}

}  // namespace

TEST_CASE("law 2: conjugating a pool posterior by label scaling changes it") {
  const double noise = 0.5;
  const RowMatrix<double> pool = normal_matrix(16, 5, root.fold("pool"));
  const PoolPosterior posterior{pool, {.noise = noise}};
  const Prompts prompts = pool_prompts(pool, 200, 10, noise, root.fold("law 2"));
  const Predictions plain = posterior.predict(prompts);
  for (const double gamma : {1.5, 2.0, 3.0}) {
    const ScaleLabels map(gamma);
    const Predictions conjugated = map.invert_predictions(posterior.predict(map.apply(prompts)), prompts);
    // On prompts of the pool the conjugated predictor is worse than the plain one, and by more than chance: the mean
    // excess over prompts exceeds five standard errors at the last point.
    const Index last = prompts.points - 1;
    const Eigen::ArrayXd excess = (conjugated - prompts.targets).col(last).array().square() -
                                  (plain - prompts.targets).col(last).array().square();
    const double deviation = std::sqrt((excess - excess.mean()).square().mean());
    CHECK(excess.mean() > 5.0 * deviation / std::sqrt(static_cast<double>(prompts.count)));
  }
}

TEST_CASE("law 8: the pool posterior does not depend on the order of the exemplars") {
  const RowMatrix<double> pool = normal_matrix(16, 5, root.fold("pool"));
  const Prompts prompts = pool_prompts(pool, 20, 10, 0.5, root.fold("law 8"));
  const Prompts other = reordered(prompts, root.fold("order"));
  const Index last = prompts.points - 1;
  for (const double noise : {0.5, 0.1}) {
    const Inference before = PoolPosterior{pool, {.noise = noise}}.infer(prompts);
    const Inference after = PoolPosterior{pool, {.noise = noise}}.infer(other);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const BruteForce bound(pool, noise, prompts, prompt, last);
      CHECK(std::abs(before.predictions(prompt, last) - after.predictions(prompt, last)) <=
            2.0 * bound.error * bound.largest);
      CHECK(std::abs(before.log_evidence(prompt, last) - after.log_evidence(prompt, last)) <= 2.0 * bound.error);
    }
  }
  // Without noise the same task is chosen, so the bits agree.
  const PoolPosterior noiseless{pool, {.noise = 0.0}};
  CHECK(noiseless.predict(prompts).col(last) == noiseless.predict(other).col(last));
}

TEST_CASE("the pool posterior is the formula at every point") {
  const RowMatrix<double> pool = normal_matrix(7, 3, root.fold("seven"));
  for (const double noise : {0.05, 0.5, 20.0}) {
    CAPTURE(noise);
    check_brute_force(pool, noise, pool_prompts(pool, 6, 9, 0.5, root.fold("inside")));
    check_brute_force(pool, noise, gaussian_prompts(6, 9, 3, 0.5, root.fold("outside")));
  }
  check_brute_force(normal_matrix(1, 3, root.fold("one")), 0.5, gaussian_prompts(3, 5, 3, 0.5, root));
  check_brute_force(normal_matrix(100, 1, root.fold("line")), 0.5, gaussian_prompts(3, 5, 1, 0.5, root));
}

TEST_CASE("without exemplars the pool posterior is the mean of the pool") {
  const RowMatrix<double> pool = normal_matrix(7, 5, root.fold("seven"));
  const Prompts prompts = gaussian_prompts(10, 2, 5, 0.5, root.fold("mean"));
  const Eigen::RowVectorXd mean = pool.colwise().mean();
  for (const double noise : {0.0, 1e-6, 0.5}) {
    const Predictions predictions = PoolPosterior{pool, {.noise = noise}}.predict(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const auto input = prompts.inputs_of(prompt).row(0);
      // Two sums over tasks and coordinates in different orders.
      const double tolerance = 12.0 * epsilon * input.norm() * pool.rowwise().norm().maxCoeff();
      CHECK(std::abs(predictions(prompt, 0) - mean.dot(input)) <= tolerance);
    }
  }
  CHECK((PoolPosterior{pool, {.noise = 0.5}}.log_evidence(prompts).col(0).array() == 0.0).all());
}

TEST_CASE("without noise the pool posterior is uniform over the tasks of smallest residual") {
  const PoolPosterior posterior{(RowMatrix<double>(3, 2) << 1.0, 2.0, 1.0, -4.0, 5.0, 0.0).finished(), {.noise = 0.0}};
  Prompts prompts(1, 4, 2);
  prompts.inputs << 1.0, 1.0, 0.3, 0.0, 0.7, 0.0, 0.0, 1.0;
  SUBCASE("two tasks fit exactly") {
    prompts.inputs.row(0) << 0.1, 0.0;
    prompts.labels << 0.1, 0.3, 0.7, 0.0;
    CHECK(posterior.predict(prompts)(0, 3) == -1.0);
  }
  SUBCASE("two tasks fit up to rounding of the labels") {
    prompts.inputs.row(0) << 0.1, 0.0;
    prompts.labels << std::nextafter(0.1, 1.0), std::nextafter(0.3, 0.0), 0.7, 0.0;
    CHECK(posterior.predict(prompts)(0, 3) == -1.0);
  }
  SUBCASE("no task fits, and one fits best") {
    prompts.labels << 3.5, 0.3, 0.7, 0.0;
    CHECK(posterior.predict(prompts)(0, 3) == 2.0);
  }
  SUBCASE("a difference well above rounding decides") {
    prompts.inputs.row(0) << 0.1, 1e-9;
    prompts.labels << 0.1 - 4e-9, 0.3, 0.7, 0.0;
    CHECK(posterior.predict(prompts)(0, 3) == -4.0);
  }
}

TEST_CASE("without noise the pool posterior finds the task, as with little noise") {
  const RowMatrix<double> pool = normal_matrix(64, 5, root.fold("pool"));
  const Prompts prompts = pool_prompts(pool, 50, 8, 0.0, root.fold("noiseless"));
  // The task is known from the first exemplar on: its output is one inner product, with d epsilon each of two.
  for (const double noise : {0.0, smallest_noise, 1e-9}) {
    CAPTURE(noise);
    const Predictions predictions = PoolPosterior{pool, {.noise = noise}}.predict(prompts);
    double furthest = 0.0;
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 1; point < prompts.points; ++point) {
        const double size = prompts.inputs_of(prompt).row(point).norm() * pool.rowwise().norm().maxCoeff();
        furthest = (std::max)(furthest, std::abs(predictions(prompt, point) - prompts.targets(prompt, point)) / size);
      }
    }
    CHECK(furthest <= 10.0 * epsilon);
  }
}

TEST_CASE("the pool posterior keeps the contract of a predictor") {
  const RowMatrix<double> pool = normal_matrix(5, 3, root.fold("contract"));
  for (const double noise : {0.0, 0.5}) {
    check_contract(PoolPosterior{pool, {.noise = noise}}, gaussian_prompts(3, 7, 3, 0.5, root));
    check_contract(PoolPosterior{pool, {.noise = noise}}, pool_prompts(pool, 3, 7, noise, root));
  }
}

TEST_CASE("the pool posterior is finite at the extremes") {
  const RowMatrix<double> pool = normal_matrix(9, 5, root.fold("extreme"));
  const Prompts prompts = extreme_prompts(5, root.fold("extreme"));
  for (const double noise : {0.0, smallest_noise, 1e-6, 1e6}) {
    const PoolPosterior posterior{pool, {.noise = noise}};
    const Predictions predictions = posterior.predict(prompts);
    CHECK(predictions.allFinite());
    CHECK((predictions.row(1).array() == 0.0).all());
    if (noise > 0.0) {
      CHECK(posterior.log_evidence(prompts).allFinite());
    }
  }
}

TEST_CASE("the pool posterior refuses what makes no sense") {
  const RowMatrix<double> pool = normal_matrix(4, 3, root);
  CHECK_THROWS_AS((PoolPosterior{pool, {.noise = -1.0}}), ConfigurationError);
  CHECK_THROWS_AS((PoolPosterior{RowMatrix<double>(0, 3), {.noise = 1.0}}), ConfigurationError);
  CHECK_THROWS_AS((PoolPosterior{RowMatrix<double>(3, 0), {.noise = 1.0}}), ConfigurationError);
  RowMatrix<double> broken = pool;
  broken(1, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS((PoolPosterior{broken, {.noise = 1.0}}), ConfigurationError);

  const Prompts prompts = gaussian_prompts(2, 3, 5, 0.5, root);
  const PoolPosterior posterior{pool, {.noise = 1.0}};
  CHECK_THROWS_WITH_AS((void)posterior.predict(prompts),
                       doctest::Contains("prompts of 5 dimensions for a pool of tasks in 3"), ShapeError);
  CHECK_THROWS_AS((void)posterior.log_evidence(prompts), ShapeError);
  CHECK_THROWS_AS((void)(PoolPosterior{pool, {.noise = 0.0}}.log_evidence(gaussian_prompts(2, 3, 3, 0.5, root))),
                  ConfigurationError);
}
