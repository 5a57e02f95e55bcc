#pragma once
/// \file
/// Linear regression on a fixed, finite pool of weight vectors (Raventos, Paul, Chen and Ganguli, "Pretraining task
/// diversity and the emergence of non-Bayesian in-context learning for regression", NeurIPS 2023).

#include "incontext/task/linear_task.hpp"

#include <algorithm>
#include <memory>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Uniform over the rows of a matrix. Copies share the matrix, since a pool may be large and tasks are copied freely.
class PoolWeights {
 public:
  /// \param weights one weight vector a row, [tasks, dimension]
  /// \throws ConfigurationError if there is no row, or an entry is not finite
  explicit PoolWeights(RowMatrix<double> weights)
      : weights_(std::make_shared<const RowMatrix<double>>(std::move(weights))) {
    require(weights_->rows() >= 1, "PoolWeights: the pool has ", weights_->rows(), " tasks, expected at least 1");
    require(is_finite(*weights_), "PoolWeights: a weight is not finite");
  }

  /// \throws ShapeError if the weight vectors do not have settings.dimension entries
  void check(const LinearSettings& settings) const {
    require<ShapeError>(weights_->cols() == settings.dimension, "PoolWeights: weight vectors of ", weights_->cols(),
                        " entries for a task of dimension ", settings.dimension);
  }

  [[nodiscard]] Vector draw(Stream& stream, const LinearSettings&) const {
    Vector weight(weights_->cols());
    std::copy_n(weights_->data() + stream.integer(weights_->rows()) * weight.size(), weight.size(), weight.data());
    return weight;
  }

  /// The pool, [tasks, dimension].
  [[nodiscard]] const RowMatrix<double>& weights() const { return *weights_; }

 private:
  std::shared_ptr<const RowMatrix<double>> weights_;
};

/// Linear regression with the weights of a pool: `Pool{settings, PoolWeights{weights}}`, or drawn by `pool`.
using Pool = LinearTask<PoolWeights>;

/// A pool of `tasks` weight vectors drawn once from the prior of `task`, with all other settings of `task`. Weight
/// vector j is drawn from key.fold(j): a small pool is the beginning of a larger one with the same key.
/// \throws ConfigurationError if tasks is below 1
template <WeightPrior Prior>
[[nodiscard]] Pool pool(const LinearTask<Prior>& task, Index tasks, Key key) {
  require(tasks >= 1, "pool: the number of tasks is ", tasks, ", expected at least 1");
  RowMatrix<double> weights(tasks, task.settings().dimension);
  for (Index row = 0; row < tasks; ++row) {
    Stream stream(key.fold(row));
    const Vector weight = task.prior().draw(stream, task.settings());
    require<ShapeError>(weight.size() == weights.cols(), "pool: the prior drew ", weight.size(), " weights, expected ",
                        weights.cols());
    std::copy_n(weight.data(), weight.size(), weights.data() + row * weights.cols());
  }
  return Pool(task.settings(), PoolWeights(std::move(weights))).restricted(task.extent());
}

INCONTEXT_NAMESPACE_END
