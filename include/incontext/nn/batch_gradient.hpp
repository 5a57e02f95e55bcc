#pragma once
/// \file
/// The loss of a batch and its gradient, in shards: the heart of a training step.

#include "incontext/core/executor.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/loss.hpp"
#include "incontext/nn/transformer.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Computes loss and gradient of batches for one model. The batch is cut in 2 to `most_shards` parts by its shape,
/// whatever the number of threads; each part is run through the model in micro-batches that stay in cache; the parts'
/// gradients are added in order. So threads never change a bit. Memory is kept from batch to batch: a warm call
/// allocates nothing.
template <class Scalar, class Architecture>
class BatchGradient {
 public:
  using Model = Transformer<Scalar, Architecture>;
  static constexpr Index most_shards = 8;

  explicit BatchGradient(const Model& model)
      : gradient_(model.parameters().shared_layout()), shards_(static_cast<std::size_t>(most_shards), Shard(model)) {}

  /// The loss of the batch; its gradient is in `gradient()` afterwards.
  /// \throws ShapeError if the batch does not fit the model
  template <class Loss>
  double operator()(const Model& model, const typename Loss::batch_type& batch, const Loss& loss,
                    ExecutorReference executor) {
    const double total = total_weight(loss, batch);
    const Index shards = shards_of(batch.count * tokens_of(batch));
    const auto part = [&](Index shard) { return batch.count * shard / shards; };
    executor.run(shards, [&](Index index) {
      Shard& shard = shards_[static_cast<std::size_t>(index)];
      shard.gradient.set_zero();
      shard.loss = 0.0;
      const Index stride = micro_batch(part(index + 1) - part(index), tokens_of(batch));
      for (Index first = part(index); first < part(index + 1); first += stride) {
        run_micro_batch(model, batch, loss, total, first, (std::min)(stride, part(index + 1) - first), shard);
      }
    });
    reduce(shards, executor);
    double sum = 0.0;
    for (Index index = 0; index < shards; ++index) {
      sum += shards_[static_cast<std::size_t>(index)].loss;
    }
    return sum;
  }

  [[nodiscard]] ParameterBuffer<Scalar>& gradient() { return gradient_; }
  [[nodiscard]] const ParameterBuffer<Scalar>& gradient() const { return gradient_; }

  /// The scratch memory held by all shards, in bytes.
  [[nodiscard]] Index workspace_bytes() const {
    Index total = 0;
    for (const Shard& shard : shards_) {
      total += shard.workspace.bytes();
    }
    return total;
  }

 private:
  struct Shard {
    explicit Shard(const Model& model) : gradient(model.parameters().shared_layout()) {}
    ParameterBuffer<Scalar> gradient;
    Workspace<Scalar> workspace;
    ModelInput<Scalar> input;
    typename Model::Cache cache;
    double loss = 0.0;
  };

  /// Most rows of a micro-batch: enough for the products to run at full speed, few enough for the activations to stay
  /// in cache.
  static constexpr Index rows_of_micro_batch = 384;

  /// Enough parts for several threads, few enough that clearing and adding their gradients costs little beside a small
  /// batch: a power of two, so that threads get equal shares.
  static Index shards_of(Index rows) {
    const auto micro_batches = static_cast<std::size_t>((rows + rows_of_micro_batch - 1) / rows_of_micro_batch);
    return (std::clamp)(static_cast<Index>(std::bit_ceil(micro_batches)), Index{2}, most_shards);
  }

  static Index tokens_of(const Prompts& prompts) { return Model::Encoding::tokens(prompts.prefix, prompts.points); }
  static Index tokens_of(const TokenBatch& batch) { return batch.length; }

  /// Sequences of a micro-batch: a shard's, cut evenly. Depends on shapes only.
  static Index micro_batch(Index sequences, Index tokens) {
    const Index parts = (std::max)(Index{1}, (sequences * tokens + rows_of_micro_batch - 1) / rows_of_micro_batch);
    return (std::max)(Index{1}, (sequences + parts - 1) / parts);
  }

  static double total_weight(const SquaredError& loss, const Prompts& prompts) {
    return loss.total_weight(prompts, Model::Encoding::first_prediction(prompts.points));
  }
  static double total_weight(const CrossEntropy& loss, const TokenBatch& batch) { return loss.total_weight(batch); }

  template <class Loss, class Batch>
  void run_micro_batch(const Model& model, const Batch& batch, const Loss& loss, double total, Index first,
                       Index number, Shard& shard) {
    shard.workspace.reset();
    encode(model, batch, first, number, shard.input);
    const MatrixView<Scalar> output = model.forward(shard.input, shard.cache, shard.workspace);
    const MatrixView<Scalar> d_output = shard.workspace.take_zeros(output.rows, output.columns);
    shard.loss += evaluate(loss, batch, first, number, total, output, d_output);
    model.backward(shard.input, d_output, shard.cache, shard.gradient, shard.workspace);
  }

  static void encode(const Model& model, const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
    model.check_prompts(prompts);
    Model::Encoding::encode(prompts, first, number, input);
  }
  static void encode(const Model&, const TokenBatch& batch, Index first, Index number, ModelInput<Scalar>& input) {
    input.reset({number, batch.length}, 0);
    std::copy(batch.tokens.begin() + first * batch.length, batch.tokens.begin() + (first + number) * batch.length,
              input.ids.begin());
  }

  static double evaluate(const SquaredError& loss, const Prompts& prompts, Index first, Index number, double total,
                         MatrixView<Scalar> output, MatrixView<Scalar> d_output) {
    double sum = 0.0;
    const Index tokens = tokens_of(prompts);
    for (Index sequence = 0; sequence < number; ++sequence) {
      for (Index point = Model::Encoding::first_prediction(prompts.points); point < prompts.points; ++point) {
        const Index row = sequence * tokens + Model::Encoding::prediction_token(prompts.prefix, point);
        sum += loss(prompts, first + sequence, point, output(row, 0), total, d_output(row, 0));
      }
    }
    return sum;
  }
  static double evaluate(const CrossEntropy& loss, const TokenBatch& batch, Index first, Index number, double total,
                         MatrixView<Scalar> output, MatrixView<Scalar> d_output) {
    double sum = 0.0;
    for (Index row = 0; row < number * batch.length; ++row) {
      sum += loss(batch, first * batch.length + row, output.row(row), output.columns, total, d_output.row(row));
    }
    return sum;
  }

  /// gradient = sum of the shards' gradients, in shard order for every element.
  void reduce(Index shards, ExecutorReference executor) {
    constexpr Index slices = most_shards;
    const auto part = [&](Index slice) { return gradient_.size() * slice / slices; };
    executor.run(slices, [&](Index slice) {
      const Index first = part(slice);
      const Index length = part(slice + 1) - first;
      Scalar* target = gradient_.data() + first;
      std::copy(shards_[0].gradient.data() + first, shards_[0].gradient.data() + first + length, target);
      for (Index shard = 1; shard < shards; ++shard) {
        add_row(length, std::as_const(shards_[static_cast<std::size_t>(shard)].gradient).data() + first, target);
      }
    });
  }

  ParameterBuffer<Scalar> gradient_;
  std::vector<Shard> shards_;
};

template <class Scalar, class Architecture>
BatchGradient(const Transformer<Scalar, Architecture>&) -> BatchGradient<Scalar, Architecture>;

INCONTEXT_NAMESPACE_END
