#include "incontext/predictor/mixture_posterior.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("mixture posterior");

double likelihood(const Prompts& prompts, Index prompt, Index exemplars, const Eigen::RowVectorXd& weights,
                  double noise) {
  double square = 0.0;
  for (Index exemplar = 0; exemplar < exemplars; ++exemplar) {
    const double residual =
        (prompts.labels(prompt, exemplar) - weights.dot(prompts.inputs_of(prompt).row(exemplar))) / noise;
    square += residual * residual;
  }
  const double peak = noise * std::sqrt(8.0 * std::atan(1.0));
  return std::exp(-0.5 * square) / std::pow(peak, static_cast<double>(exemplars));
}

// Prompts of a pool and of fresh Gaussian weights, one after the other.
Prompts mixed_prompts(const RowMatrix<double>& pool, Index count_of_each, Index points, double noise, Key key) {
  const Prompts from_pool = pool_prompts(pool, count_of_each, points, noise, key.fold("pool"));
  const Prompts fresh = gaussian_prompts(count_of_each, points, pool.cols(), noise, key.fold("fresh"));
  Prompts prompts(2 * count_of_each, points, pool.cols());
  prompts.inputs << from_pool.inputs, fresh.inputs;
  prompts.labels << from_pool.labels, fresh.labels;
  prompts.targets << from_pool.targets, fresh.targets;
  return prompts;
}

}  // namespace

TEST_CASE("law 3: the mixture posterior at weight 0 and 1 is the pure ridge or pool posterior, bit for bit") {
  const RowMatrix<double> pool = normal_matrix(9, 5, root.fold("pool"));
  for (const double noise : {0.0, 0.5}) {
    const Prompts prompts = mixed_prompts(pool, 10, 12, noise, root.fold("pure"));
    const MixturePosterior never{pool, {.noise = noise, .weight_scale = 1.5, .pool_weight = 0.0}};
    const MixturePosterior always{pool, {.noise = noise, .weight_scale = 1.5, .pool_weight = 1.0}};
    CHECK(never.predict(prompts) == Ridge{{.noise = noise, .weight_scale = 1.5}}.predict(prompts));
    CHECK(always.predict(prompts) == PoolPosterior{pool, {.noise = noise}}.predict(prompts));
    CHECK((never.pool_probability(prompts).array() == 0.0).all());
    CHECK((always.pool_probability(prompts).array() == 1.0).all());
  }
}

TEST_CASE("law 3: the posterior odds match a brute-force Monte-Carlo estimate") {
  const double noise = 0.8;
  const double weight_scale = 1.3;
  const double pool_weight = 0.3;
  const Index draws = 20000;
  const RowMatrix<double> pool = normal_matrix(6, 2, root.fold("six")) * weight_scale;
  const MixturePosterior mixture{pool, {.noise = noise, .weight_scale = weight_scale, .pool_weight = pool_weight}};
  const Prompts prompts = mixed_prompts(pool, 3, 5, noise, root.fold("monte carlo"));
  const RowMatrix<double> probability = mixture.pool_probability(prompts);
  const RowMatrix<double> weights = normal_matrix(draws, 2, root.fold("draws")) * weight_scale;
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 0; point < prompts.points; ++point) {
      double from_pool = 0.0;
      for (Index task = 0; task < pool.rows(); ++task) {
        from_pool += likelihood(prompts, prompt, point, pool.row(task), noise) / static_cast<double>(pool.rows());
      }
      double sum = 0.0;
      double sum_of_squares = 0.0;
      for (Index draw = 0; draw < draws; ++draw) {
        const double value = likelihood(prompts, prompt, point, weights.row(draw), noise);
        sum += value;
        sum_of_squares += value * value;
      }
      const double fresh = sum / static_cast<double>(draws);
      const double variance = sum_of_squares / static_cast<double>(draws) - fresh * fresh;
      const double standard_error = std::sqrt((std::max)(variance, 0.0) / static_cast<double>(draws));
      // The odds in favour of a fresh task, whose one random factor is the estimated evidence. Four standard errors
      // are exceeded once in 16,000 comparisons, and rounding is at most a few epsilon of the odds.
      const double odds = (1.0 - probability(prompt, point)) / probability(prompt, point);
      const double factor = (1.0 - pool_weight) / pool_weight / from_pool;
      CHECK(std::abs(odds - factor * fresh) <= 4.0 * factor * standard_error + 64.0 * epsilon * odds);
      REQUIRE(standard_error <= 0.05 * fresh);  // else the comparison would say little
    }
  }
}

TEST_CASE("the posterior probability is calibrated: over prompts of the mixture its mean is the prior") {
  const double noise = 0.5;
  const RowMatrix<double> pool = normal_matrix(8, 3, root.fold("eight"));
  const Index half = 1000;
  const Prompts prompts = mixed_prompts(pool, half, 10, noise, root.fold("calibration"));
  const MixturePosterior mixture{pool, {.noise = noise, .pool_weight = 0.5}};
  const RowMatrix<double> probability = mixture.pool_probability(prompts);
  for (Index point = 1; point < prompts.points; ++point) {
    // By Bayes' rule E[g] = 1/2 and the mean of g over fresh prompts is the mean of 1 - g over those of the pool.
    const Eigen::ArrayXd values = probability.col(point).array();
    const double inside = values.head(half).mean();
    const double outside = values.tail(half).mean();
    const double variance =
        (values.head(half) - inside).square().mean() + (values.tail(half) - outside).square().mean();
    const double standard_error = 0.5 * std::sqrt(variance / static_cast<double>(half));
    CHECK(std::abs(0.5 * (inside + outside) - 0.5) <= 4.0 * standard_error);
  }
  // And it learns: by the last point it tells the two apart.
  CHECK(probability.col(9).head(half).mean() > 0.75);
  CHECK(probability.col(9).tail(half).mean() < 0.25);
}

TEST_CASE("the mixture posterior has the smallest error of the three on its own prompts") {
  const double noise = 0.5;
  const RowMatrix<double> pool = normal_matrix(8, 3, root.fold("eight"));
  const Prompts prompts = mixed_prompts(pool, 1000, 10, noise, root.fold("optimal"));
  const auto errors = [&prompts](const Predictions& predictions) -> Eigen::ArrayXd {
    return (predictions - prompts.targets).array().square().rowwise().mean();
  };
  const Eigen::ArrayXd mixture = errors(MixturePosterior{pool, {.noise = noise, .pool_weight = 0.5}}.predict(prompts));
  for (const Eigen::ArrayXd& pure : {errors(Ridge{{.noise = noise}}.predict(prompts)),
                                     errors(PoolPosterior{pool, {.noise = noise}}.predict(prompts))}) {
    const Eigen::ArrayXd excess = pure - mixture;
    const double deviation = std::sqrt((excess - excess.mean()).square().mean());
    CHECK(excess.mean() > 4.0 * deviation / std::sqrt(static_cast<double>(prompts.count)));
  }
}

TEST_CASE("without exemplars the mixture posterior is the prior") {
  const RowMatrix<double> pool = normal_matrix(7, 5, root.fold("seven"));
  const Prompts prompts = gaussian_prompts(10, 2, 5, 0.5, root.fold("mean"));
  for (const double pool_weight : {1e-9, 0.1, 0.2, 1.0 / 3.0, 0.5, 0.8, 0.99}) {
    const MixturePosterior mixture{pool, {.noise = 0.5, .pool_weight = pool_weight}};
    CHECK((mixture.pool_probability(prompts).col(0).array() == pool_weight).all());
    const Predictions predictions = mixture.predict(prompts);
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const auto input = prompts.inputs_of(prompt).row(0);
      const double expected = pool_weight * pool.colwise().mean().dot(input);
      // Two sums over tasks and coordinates in different orders.
      const double tolerance = 16.0 * epsilon * pool_weight * input.norm() * pool.rowwise().norm().maxCoeff();
      CHECK(std::abs(predictions(prompt, 0) - expected) <= tolerance);
    }
  }
}

TEST_CASE("the mixture posterior weighs its parts by the posterior probability, and that by the evidences") {
  const RowMatrix<double> pool = normal_matrix(6, 3, root.fold("parts"));
  const Prompts prompts = mixed_prompts(pool, 5, 9, 0.5, root.fold("parts"));
  const MixturePosterior mixture{pool, {.noise = 0.5, .weight_scale = 1.2, .pool_weight = 0.2}};
  const Predictions predictions = mixture.predict(prompts);
  const RowMatrix<double> probability = mixture.pool_probability(prompts);
  const RowMatrix<double> log_odds = mixture.pool_log_odds(prompts);
  const Inference from_pool = mixture.pool().infer(prompts);
  const Inference from_ridge = mixture.ridge().infer(prompts);
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    for (Index point = 0; point < prompts.points; ++point) {
      const double g = probability(prompt, point);
      const double part = g * from_pool.predictions(prompt, point);
      const double rest = (1.0 - g) * from_ridge.predictions(prompt, point);
      CHECK(std::abs(predictions(prompt, point) - part - rest) <= 4.0 * epsilon * (std::abs(part) + std::abs(rest)));

      const double pool_evidence = from_pool.log_evidence(prompt, point);
      const double ridge_evidence = from_ridge.log_evidence(prompt, point);
      const double logit = std::log(0.25) + pool_evidence - ridge_evidence;
      const double tolerance = 4.0 * epsilon * (2.0 + std::abs(pool_evidence) + std::abs(ridge_evidence));
      CHECK(std::abs(log_odds(prompt, point) - logit) <= tolerance);
      CHECK(std::abs(g - 1.0 / (1.0 + std::exp(-logit))) <= tolerance);
    }
  }
}

TEST_CASE("law 8: the mixture posterior does not depend on the order of the exemplars") {
  const double noise = 0.5;
  const RowMatrix<double> pool = normal_matrix(9, 5, root.fold("pool"));
  const MixturePosterior mixture{pool, {.noise = noise, .pool_weight = 0.5}};
  const Prompts prompts = mixed_prompts(pool, 10, 12, noise, root.fold("law 8"));
  const Prompts other = reordered(prompts, root.fold("order"));
  const Index last = prompts.points - 1;
  const RowMatrix<double> before = mixture.pool_log_odds(prompts);
  const RowMatrix<double> after = mixture.pool_log_odds(other);
  const Predictions predictions_before = mixture.predict(prompts);
  const Predictions predictions_after = mixture.predict(other);
  const double longest = pool.rowwise().norm().maxCoeff();
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    const auto inputs = prompts.inputs_of(prompt);
    // A residual rounds by (d + 2) epsilon times the sizes that cancel in it, and the k squared residuals of either
    // evidence by k + 4 more. Ridge adds the error of its weights to every residual.
    const DenseLeastSquares dense(prompts, prompt, last, noise);
    double scale = 4.0 + 2.0 * static_cast<double>(last);
    double ridge_error = 0.0;
    for (Index point = 0; point < last; ++point) {
      const double label = std::abs(prompts.labels(prompt, point));
      const double size = label + inputs.row(point).norm() * (std::max)(longest, dense.weights.norm());
      scale += size * size / (noise * noise);
      const DenseLeastSquares earlier(prompts, prompt, point, noise);
      ridge_error += 2.0 * earlier.weight_error * inputs.row(point).norm() * size / (noise * noise);
    }
    const double odds_error = 2.0 * (static_cast<double>(prompts.dimension + last + 6) * epsilon * scale + ridge_error);
    CHECK(std::abs(before(prompt, last) - after(prompt, last)) <= odds_error);
    // g moves by at most a quarter of that, and each part of the prediction by its own error.
    const double input = inputs.row(last).norm();
    const double size = input * (longest + dense.weights.norm());
    CHECK(std::abs(predictions_before(prompt, last) - predictions_after(prompt, last)) <=
          2.0 * odds_error * size + dense.weight_error * input);
  }
}

TEST_CASE("the mixture posterior keeps the contract of a predictor") {
  const RowMatrix<double> pool = normal_matrix(5, 3, root.fold("contract"));
  for (const double pool_weight : {0.0, 0.5, 1.0}) {
    check_contract(MixturePosterior{pool, {.noise = 0.5, .pool_weight = pool_weight}},
                   mixed_prompts(pool, 2, 7, 0.5, root.fold("contract")));
  }
}

TEST_CASE("the mixture posterior is finite at the extremes, and sure where it should be") {
  const RowMatrix<double> pool = normal_matrix(9, 5, root.fold("extreme"));
  const Prompts prompts = extreme_prompts(5, root.fold("extreme"));
  for (const double noise : {1e-6, 1.0, 1e6}) {
    for (const double pool_weight : {1e-300, 0.5, 1.0 - 0.5 * epsilon}) {
      const MixturePosterior mixture{pool, {.noise = noise, .pool_weight = pool_weight}};
      CHECK(mixture.predict(prompts).allFinite());
      CHECK(mixture.pool_log_odds(prompts).allFinite());
      const RowMatrix<double> probability = mixture.pool_probability(prompts);
      CHECK((probability.array() >= 0.0).all());
      CHECK((probability.array() <= 1.0).all());
    }
  }
  // With hardly any noise an exemplar or two decide: prompts of the pool are sure to be, fresh ones sure not to be.
  const Prompts sure = mixed_prompts(pool, 10, 9, 1e-6, root.fold("sure"));
  const MixturePosterior mixture{pool, {.noise = 1e-6, .pool_weight = 0.5}};
  const RowMatrix<double> probability = mixture.pool_probability(sure);
  CHECK(probability.col(8).head(10).minCoeff() > 1.0 - 1e-12);
  CHECK(probability.col(8).tail(10).maxCoeff() < 1e-12);
}

TEST_CASE("the mixture posterior refuses what makes no sense") {
  const RowMatrix<double> pool = normal_matrix(4, 3, root);
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  for (const double pool_weight : {-0.1, 1.5, not_a_number}) {
    CHECK_THROWS_AS((MixturePosterior{pool, {.noise = 1.0, .pool_weight = pool_weight}}), ConfigurationError);
  }
  CHECK_THROWS_WITH_AS((MixturePosterior{pool, {.noise = 0.0, .pool_weight = 0.5}}),
                       doctest::Contains("MixturePosterior: noise is 0"), ConfigurationError);
  CHECK_THROWS_AS((MixturePosterior{pool, {.noise = 1.0, .weight_scale = 0.0}}), ConfigurationError);

  const Prompts prompts = gaussian_prompts(2, 3, 5, 0.5, root);
  for (const double pool_weight : {0.0, 0.5, 1.0}) {
    const MixturePosterior mixture{pool, {.noise = 1.0, .pool_weight = pool_weight}};
    CHECK_THROWS_WITH_AS((void)mixture.predict(prompts),
                         doctest::Contains("prompts of 5 dimensions for a pool of tasks in 3"), ShapeError);
    CHECK_THROWS_AS((void)mixture.pool_probability(prompts), ShapeError);
    CHECK_THROWS_AS((void)mixture.pool_log_odds(prompts), ShapeError);
  }
  const MixturePosterior noiseless{pool, {.noise = 0.0, .pool_weight = 1.0}};
  CHECK_THROWS_AS((void)noiseless.pool_log_odds(gaussian_prompts(2, 3, 3, 0.5, root)), ConfigurationError);
}
