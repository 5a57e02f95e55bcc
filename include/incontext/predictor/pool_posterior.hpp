#pragma once
/// \file
/// The posterior over a finite pool of tasks: the Bayes-optimal predictor where the weights come from the pool.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/predictor/inference.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

INCONTEXT_NAMESPACE_BEGIN

/// w = sum_i p_i w_i with p_i proportional to exp(-||y - X w_i||^2 / (2 noise^2)): the posterior mean of the weights
/// where w is uniform over the pool and y = w . x + N(0, noise^2) (the "dMMSE" of Raventos et al. 2023; Kotha et al.
/// 2024, section 2). Without exemplars the weights are the mean of the pool.
///
/// Without noise it is the limit: uniform over the tasks of smallest residual ||y - X w_i||. Residuals that differ by
/// less than their rounding error count as equal; with D^2 = sum_j (|y_j| + ||x_j|| max_i ||w_i||)^2 that is
/// 4 (d + k + 2) epsilon D: each of two residuals has an error of at most d epsilon D in its inner products, as much
/// again in labels that were themselves computed as inner products, and k + 2 roundings in their sum of squares.
class PoolPosterior {
 public:
  struct Settings {
    double noise = 0.0;  ///< standard deviation of the label noise, at least 0
  };

  /// `pool` is [tasks, dimension]: one weight vector a row.
  /// \throws ConfigurationError if the pool is empty or not finite, or a setting is out of range
  PoolPosterior(const RowMatrix<double>& pool, Settings settings)
      : pool_(pool.transpose()), settings_(settings), longest_task_(0.0) {
    require_noise("PoolPosterior", settings.noise);
    require(pool.rows() >= 1 && pool.cols() >= 1, "PoolPosterior: a pool of ", pool.rows(), " tasks in ", pool.cols(),
            " dimensions, expected at least 1 of each");
    require(is_finite(pool), "PoolPosterior: the pool has a weight that is not finite");
    for (Index task = 0; task < pool.rows(); ++task) {
      longest_task_ = (std::max)(longest_task_, norm(pool.data() + task * pool.cols(), pool.cols()));
    }
  }

  /// [count, points]
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    infer(prompts, predictions, nullptr);
    return predictions;
  }

  /// Predictions with the log evidence log[(1/n) sum_i N(y; X w_i, noise^2 I)] of the exemplars.
  /// \throws ConfigurationError if noise is 0
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] Inference infer(const Prompts& prompts) const {
    require_density("PoolPosterior::infer", settings_.noise);
    Inference inference{Predictions(prompts.count, prompts.points), RowMatrix<double>(prompts.count, prompts.points)};
    infer(prompts, inference.predictions, &inference.log_evidence);
    return inference;
  }

  /// [count, points]: log[(1/n) sum_i N(y; X w_i, noise^2 I)] of the exemplars before each point.
  /// \throws ConfigurationError if noise is 0
  /// \throws ShapeError if prompts and pool differ in dimension
  [[nodiscard]] RowMatrix<double> log_evidence(const Prompts& prompts) const { return infer(prompts).log_evidence; }

  /// Coordinates of an input that the pool's tasks read.
  [[nodiscard]] Index dimension() const { return pool_.rows(); }
  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  // Fills predictions, and the log evidence where it is wanted, [count, points] both.
  void infer(const Prompts& prompts, Predictions& predictions, RowMatrix<double>* log_evidence) const {
    require<ShapeError>(prompts.dimension == dimension(), "PoolPosterior: prompts of ", prompts.dimension,
                        " dimensions for a pool of tasks in ", dimension());
    const double precision = settings_.noise > 0.0 ? 1.0 / settings_.noise : 1.0;
    const double label_cost = log_evidence != nullptr ? half_log_two_pi + std::log(settings_.noise) : 0.0;
    const Index tasks = pool_.cols();
    Vector outputs(tasks);                    // x . w_i
    Vector squares(tasks);                    // ||y - X w_i||^2 / noise^2, or ||y - X w_i||^2 without noise
    RowMatrix<double> likelihoods(1, tasks);  // divided by the largest of them
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      std::fill_n(squares.data(), tasks, 0.0);
      double squared_scale = 0.0;  // D^2
      for (Index point = 0; point < prompts.points; ++point) {
        const double* const input = prompts.input(prompt, point);
        const double label = prompts.labels(prompt, point);
        multiply_transposed(pool_, input, outputs.data());
        const double least = smallest(squares.data(), tasks);
        if (settings_.noise > 0.0) {
          // Below exp(-690) a likelihood is lost in the sum anyway, and would slow it down as a subnormal number.
          for (Index task = 0; task < tasks; ++task) {
            likelihoods(0, task) = (std::max)(0.5 * (least - squares[task]), -690.0);
          }
          exponentiate(likelihoods);
        } else {
          const double slack = rounding_error(point, std::sqrt(squared_scale));
          for (Index task = 0; task < tasks; ++task) {
            likelihoods(0, task) = std::sqrt(squares[task]) <= std::sqrt(least) + slack ? 1.0 : 0.0;
          }
          const double scale = std::abs(label) + norm(input, prompts.dimension) * longest_task_;
          squared_scale += scale * scale;
        }
        const double total = sum(likelihoods.data(), tasks);
        predictions(prompt, point) = inner_product(likelihoods.data(), outputs.data(), tasks) / total;
        if (log_evidence != nullptr) {
          (*log_evidence)(prompt, point) =
              std::log(total / static_cast<double>(tasks)) - 0.5 * least - static_cast<double>(point) * label_cost;
        }
        for (Index task = 0; task < tasks; ++task) {
          const double residual = (label - outputs[task]) * precision;
          squares[task] += residual * residual;
        }
      }
    }
  }

  [[nodiscard]] double rounding_error(Index exemplars, double scale) const {
    return 4.0 * static_cast<double>(pool_.rows() + exemplars + 2) * std::numeric_limits<double>::epsilon() * scale;
  }

  RowMatrix<double> pool_;  // [dimension, tasks]: one input meets all tasks at once
  Settings settings_;
  double longest_task_;
};

INCONTEXT_NAMESPACE_END
