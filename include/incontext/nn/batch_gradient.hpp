#pragma once
/// \file
/// The loss of a batch and its gradient, in shards: the heart of a training step.

#include "incontext/core/executor.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/loss.hpp"
#include "incontext/nn/transformer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <mutex>
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
      : gradient_(model.parameters().shared_layout()),
        packed_(model.make_packed_weights()),
        shards_(static_cast<std::size_t>(most_shards), Shard(model)) {}

  /// The loss of the batch; its gradient is in `gradient()` afterwards.
  /// \throws ShapeError if the batch does not fit the model
  template <class Loss>
  double operator()(const Model& model, const typename Loss::batch_type& batch, const Loss& loss,
                    ExecutorReference executor) {
    const double total = total_weight(loss, batch);
    const Index tokens = tokens_of(batch);
    const Index shards = shards_of(batch.count * tokens);
    const auto part = [&](Index shard) { return batch.count * shard / shards; };
    const SequenceShape largest = largest_micro_batch(model, batch.count, tokens);
    packed_.pack(model.parameters().data(), executor);
    executor.run(shards, [&](Index index) {
      Shard& shard = shards_[static_cast<std::size_t>(index)];
      shard.gradient.set_zero();
      shard.loss = 0.0;
      const typename ScratchPool::Lease scratch(*pool_);
      (*scratch).reserve(model, largest);
      const Index stride = micro_batch(part(index + 1) - part(index), tokens, rows_of_micro_batch(model));
      for (Index first = part(index); first < part(index + 1); first += stride) {
        run_micro_batch(model, batch, loss, total, first, (std::min)(stride, part(index + 1) - first), shard, *scratch);
      }
    });
    pool_->warm((std::min)(executor.workers(), shards));
    reduce(shards, executor);
    double sum = 0.0;
    for (Index index = 0; index < shards; ++index) {
      sum += shards_[static_cast<std::size_t>(index)].loss;
    }
    return sum;
  }

  [[nodiscard]] ParameterBuffer<Scalar>& gradient() { return gradient_; }
  [[nodiscard]] const ParameterBuffer<Scalar>& gradient() const { return gradient_; }

  /// The memory of gradients, in bytes: that of the batch and those of its shards.
  [[nodiscard]] Index gradient_bytes() const { return (1 + most_shards) * gradient_.size() * scalar_bytes; }

  /// The scratch memory held for all threads and the packed weights, in bytes.
  [[nodiscard]] Index workspace_bytes() const { return packed_.bytes() + pool_->bytes(); }

  /// A bound on `workspace_bytes()` after batches of `count` sequences of `tokens` on an executor of so many workers,
  /// in bytes: the packed weights, and for every worker that finds a shard what `Transformer::workspace_size` says of
  /// the largest micro-batch, with its features (a scalar each) and ids (an `int` for each row). It does not depend on
  /// the number of micro-batches. Of batches of several shapes, the largest counts, in each of these parts.
  [[nodiscard]] Index workspace_bound(const Model& model, Index count, Index tokens, Index workers) const {
    const SequenceShape shape = largest_micro_batch(model, count, tokens);
    const typename Model::WorkspaceSize size = model.workspace_size(shape, most_read(model, shape));
    const Index scratch = (size.lasting + size.temporary + shape.rows() * features_of(model)) * scalar_bytes +
                          shape.rows() * static_cast<Index>(sizeof(int)) +
                          most_read(model, shape) * static_cast<Index>(sizeof(Index));
    return packed_.bytes() + (std::min)(workers, shards_of(count * tokens)) * scratch;
  }

  /// Tokens of every sequence of a batch.
  [[nodiscard]] static Index tokens_of(const Prompts& prompts) {
    return Model::Encoding::tokens(prompts.prefix, prompts.points);
  }
  [[nodiscard]] static Index tokens_of(const TokenBatch& batch) { return batch.length; }

 private:
  static constexpr auto scalar_bytes = static_cast<Index>(sizeof(Scalar));

  struct Shard {
    explicit Shard(const Model& model) : gradient(model.parameters().shared_layout()) {}
    ParameterBuffer<Scalar> gradient;
    double loss = 0.0;
  };

  /// What a shard works in. A thread that is done with one takes the next shard to the same, still in its cache.
  struct Scratch {
    Workspace<Scalar> workspace;
    ModelInput<Scalar> input;
    typename Model::Cache cache;

    void reserve(const Model& model, SequenceShape shape) {
      const typename Model::WorkspaceSize size = model.workspace_size(shape, most_read(model, shape));
      workspace.reserve(size.lasting);
      workspace.temporary().reserve(size.temporary);
      input.ids.reserve(static_cast<std::size_t>(shape.rows()));
      input.read.reserve(static_cast<std::size_t>(most_read(model, shape)));
      input.features.reserve(static_cast<std::size_t>(shape.rows() * features_of(model)));
    }
    [[nodiscard]] Index bytes() const {
      return workspace.bytes() + static_cast<Index>(input.features.capacity()) * scalar_bytes +
             static_cast<Index>(input.ids.capacity() * sizeof(int) + input.read.capacity() * sizeof(Index));
    }
  };

  /// The scratch that is not in use; the last that was used comes first.
  class ScratchPool {
   public:
    ScratchPool() {
      for (Scratch& scratch : all_) {
        free_.push_back(&scratch);
      }
    }
    /// Has a scratch until it goes out of scope.
    class Lease {
     public:
      explicit Lease(ScratchPool& pool) : pool_(pool) {
        const std::lock_guard lock(pool_.mutex_);
        scratch_ = pool_.free_.back();
        pool_.free_.pop_back();
      }
      ~Lease() {
        const std::lock_guard lock(pool_.mutex_);
        pool_.free_.push_back(scratch_);
      }
      Lease(const Lease&) = delete;
      Lease& operator=(const Lease&) = delete;
      Scratch& operator*() const { return *scratch_; }

     private:
      ScratchPool& pool_;
      Scratch* scratch_ = nullptr;
    };

    /// Makes the first `workers` that will be leased as large as the largest, whoever of the workers came to work so
    /// far.
    void warm(Index workers) {
      const auto as_large = [](Scratch& scratch, const Scratch& other) {
        scratch.input.ids.reserve(other.input.ids.capacity());
        scratch.input.read.reserve(other.input.read.capacity());
        scratch.input.features.reserve(other.input.features.capacity());
        scratch.cache.blocks.resize((std::max)(scratch.cache.blocks.size(), other.cache.blocks.size()));
        if (scratch.workspace.bytes() < other.workspace.bytes()) {
          scratch.workspace = other.workspace;
        }
      };
      for (Index index = 0; index < workers; ++index) {
        for (const Scratch& other : all_) {
          as_large(*free_[free_.size() - 1 - static_cast<std::size_t>(index)], other);
        }
      }
    }
    [[nodiscard]] Index bytes() const {
      Index total = 0;
      for (const Scratch& scratch : all_) {
        total += scratch.bytes();
      }
      return total;
    }

   private:
    std::mutex mutex_;
    std::array<Scratch, static_cast<std::size_t>(most_shards)> all_;
    std::vector<Scratch*> free_;
  };

  /// Rows of a micro-batch. Few enough that one layer's activations, some 20 times the width for every row, have room
  /// in a second-level cache of 2 MiB; but where the model is wide, enough that reading its weights and adding to their
  /// gradient, some 48 times the width squared a layer, does not take longer than what the activations then cost.
  static Index rows_of_micro_batch(const Model& model) {
    constexpr Index bytes = Index{3} << 19;
    const Index width = model.settings().width;
    const Index fitting = bytes / (20 * width * scalar_bytes);
    return (std::clamp)((std::max)(fitting, 3 * width / 2), Index{32}, Index{384});
  }

  /// Enough parts for several threads, few enough that clearing and adding their gradients costs little beside a small
  /// batch: a power of two, so that threads get equal shares.
  static Index shards_of(Index rows) {
    constexpr Index rows_of_shard = 384;
    const auto wanted = static_cast<std::size_t>((rows + rows_of_shard - 1) / rows_of_shard);
    return (std::clamp)(static_cast<Index>(std::bit_ceil(wanted)), Index{2}, most_shards);
  }

  /// Rows that are named as read at most: of a token model those with a weight, of another those of its predictions.
  static Index most_read(const Model& model, SequenceShape shape) {
    if (model.settings().outputs > 1) {
      return shape.rows();
    }
    Index points = 1;
    while (Model::Encoding::tokens(0, points) < shape.tokens) {
      ++points;
    }
    return shape.sequences * predictions_of<typename Model::Encoding>(points);
  }

  static Index features_of(const Model& model) {
    const Index dimension = model.settings().dimension;
    return dimension > 0 ? Model::Encoding::inputs(dimension) : 0;
  }

  /// Sequences of a micro-batch: a shard's, cut evenly. Depends on shapes only.
  static Index micro_batch(Index sequences, Index tokens, Index most_rows) {
    const Index parts = (std::max)(Index{1}, (sequences * tokens + most_rows - 1) / most_rows);
    return (std::max)(Index{1}, (sequences + parts - 1) / parts);
  }

  /// The largest micro-batch of a batch: shards differ by at most one sequence.
  static SequenceShape largest_micro_batch(const Model& model, Index count, Index tokens) {
    const Index shards = shards_of(count * tokens);
    const Index rows = rows_of_micro_batch(model);
    return {
        (std::max)(micro_batch(count / shards, tokens, rows), micro_batch((count + shards - 1) / shards, tokens, rows)),
        tokens};
  }

  static double total_weight(const SquaredError& loss, const Prompts& prompts) {
    return loss.total_weight(prompts, Model::Encoding::first_prediction(prompts.points));
  }
  static double total_weight(const CrossEntropy& loss, const TokenBatch& batch) { return loss.total_weight(batch); }

  template <class Loss, class Batch>
  void run_micro_batch(const Model& model, const Batch& batch, const Loss& loss, double total, Index first,
                       Index number, Shard& shard, Scratch& scratch) {
    scratch.workspace.reset();
    const Weights<Scalar> weights(model.parameters().data(), packed_);
    encode(model, batch, first, number, scratch.input);
    const MatrixView<Scalar> output = model.forward(weights, scratch.input, scratch.cache, scratch.workspace);
    const MatrixView<Scalar> d_output = scratch.workspace.take_zeros(output.rows, output.columns);
    shard.loss += evaluate(loss, batch, first, scratch.input, total, output, d_output);
    model.backward(weights, scratch.input, d_output, scratch.cache, shard.gradient, scratch.workspace);
  }

  static void encode(const Model& model, const Prompts& prompts, Index first, Index number, ModelInput<Scalar>& input) {
    model.check_prompts(prompts);
    encode_to_predict<typename Model::Encoding>(prompts, first, number, input);
  }
  static void encode(const Model&, const TokenBatch& batch, Index first, Index number, ModelInput<Scalar>& input) {
    input.reset({number, batch.length}, 0);
    std::copy(batch.tokens.begin() + first * batch.length, batch.tokens.begin() + (first + number) * batch.length,
              input.ids.begin());
    input.read_where([&](Index row) { return batch.weight(first * batch.length + row) != 0.0; });
  }

  static double evaluate(const SquaredError& loss, const Prompts& prompts, Index first, const ModelInput<Scalar>&,
                         double total, MatrixView<Scalar> output, MatrixView<Scalar> d_output) {
    double sum = 0.0;
    const Index predictions = predictions_of<typename Model::Encoding>(prompts.points);
    for (Index row = 0; row < output.rows; ++row) {
      const Index point = prompts.points - predictions + row % predictions;
      sum += loss(prompts, first + row / predictions, point, output(row, 0), total, d_output(row, 0));
    }
    return sum;
  }
  static double evaluate(const CrossEntropy& loss, const TokenBatch& batch, Index first,
                         const ModelInput<Scalar>& input, double total, MatrixView<Scalar> output,
                         MatrixView<Scalar> d_output) {
    double sum = 0.0;
    for (std::size_t place = 0; place < input.read.size(); ++place) {
      const auto row = static_cast<Index>(place);
      sum += loss(batch, first * batch.length + input.read[place], output.row(row), output.columns, total,
                  d_output.row(row));
    }
    return sum;
  }

  /// gradient = sum of the shards' gradients, in shard order for every element.
  void reduce(Index shards, ExecutorReference executor) {
    run_in_parts(executor, gradient_.size(), most_shards, [&](Index first, Index last) {
      const Index length = last - first;
      Scalar* target = gradient_.data() + first;
      std::copy(shards_[0].gradient.data() + first, shards_[0].gradient.data() + first + length, target);
      for (Index shard = 1; shard < shards; ++shard) {
        add_row(length, std::as_const(shards_[static_cast<std::size_t>(shard)].gradient).data() + first, target);
      }
    });
  }

  ParameterBuffer<Scalar> gradient_;
  PackedWeights<Scalar> packed_;
  std::vector<Shard> shards_;
  std::unique_ptr<ScratchPool> pool_ = std::make_unique<ScratchPool>();
};

template <class Scalar, class Architecture>
BatchGradient(const Transformer<Scalar, Architecture>&) -> BatchGradient<Scalar, Architecture>;

INCONTEXT_NAMESPACE_END
