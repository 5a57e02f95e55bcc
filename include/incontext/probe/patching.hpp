#pragma once
/// \file
/// Activation patching: the residual stream of one run put in the place of another's, to find where something is.
///
/// Vig et al. 2020 ("Investigating gender bias in language models using causal mediation analysis") and Meng et al.
/// 2022
/// ("Locating and editing factual associations in GPT").

#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/layer.hpp"
#include "incontext/nn/log_softmax.hpp"
#include "incontext/nn/model_input.hpp"
#include "incontext/nn/probe.hpp"
#include "incontext/task/token_batch.hpp"

#include <algorithm>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The residual stream of a batch, [layers + 1] of [sequences * tokens, width]: behind the embedding and behind every
/// block. As a probe it records.
template <class Scalar>
struct ResidualStream {
  SequenceShape shape;
  std::vector<RowMatrix<Scalar>> layers;

  void operator()(Index layer, SequenceShape its_shape, MatrixView<Scalar> stream) {
    shape = its_shape;
    layers.resize((std::max)(layers.size(), static_cast<std::size_t>(layer) + 1));
    RowMatrix<Scalar>& copy = layers[static_cast<std::size_t>(layer)];
    copy.resize(its_shape.rows(), stream.columns);
    for (Index row = 0; row < copy.rows(); ++row) {
      std::copy_n(stream.row(row), copy.cols(), copy.data() + row * copy.cols());
    }
  }
};

/// A probe that puts what another run had at some positions of one layer in the place of what this one has. The runs
/// are of as many sequences of as many tokens.
template <class Scalar>
class Patch {
 public:
  /// \throws ConfigurationError if the other run has no such layer or positions
  Patch(const ResidualStream<Scalar>& source, Index layer, std::vector<Index> positions)
      : source_(&source), layer_(layer), positions_(std::move(positions)) {
    require(layer >= 0 && layer < static_cast<Index>(source.layers.size()), "Patch: layer ", layer, ", expected 0 to ",
            static_cast<Index>(source.layers.size()) - 1);
    for (const Index position : positions_) {
      require(position >= 0 && position < source.shape.tokens, "Patch: position ", position, " of sequences of ",
              source.shape.tokens, " tokens");
    }
  }

  /// \throws ShapeError if this run has another shape
  void operator()(Index layer, SequenceShape shape, MatrixView<Scalar> stream) const {
    if (layer != layer_) {
      return;
    }
    const RowMatrix<Scalar>& other = source_->layers[static_cast<std::size_t>(layer)];
    require<ShapeError>(shape.sequences == source_->shape.sequences && shape.tokens == source_->shape.tokens &&
                            stream.columns == other.cols(),
                        "Patch: a run of ", shape.sequences, " sequences of ", shape.tokens, " tokens, width ",
                        stream.columns, ", expected ", source_->shape.sequences, " of ", source_->shape.tokens,
                        ", width ", other.cols());
    for (Index sequence = 0; sequence < shape.sequences; ++sequence) {
      for (const Index position : positions_) {
        const Index row = sequence * shape.tokens + position;
        std::copy_n(other.data() + row * other.cols(), other.cols(), stream.row(row));
      }
    }
  }

 private:
  const ResidualStream<Scalar>* source_;
  Index layer_;
  std::vector<Index> positions_;
};

/// The log likelihood of every sequence's targets, [count], in nats, the answer's earlier tokens given: the sum over
/// positions of weight * log softmax(logits)[target]. \throws ShapeError if the batch does not fit the model
template <class Model>
[[nodiscard]] std::vector<double> log_likelihoods(const Model& model, const TokenBatch& batch,
                                                  ProbeReference<typename Model::scalar_type> probe = {}) {
  using Scalar = typename Model::scalar_type;
  model.check_tokens(batch);
  ModelInput<Scalar> input;
  input.reset({batch.count, batch.length}, 0);
  std::copy(batch.tokens.begin(), batch.tokens.end(), input.ids.begin());
  input.read_where([&](Index row) { return batch.weight(row) != 0.0; });
  typename Model::Cache cache;
  Workspace<Scalar> workspace;
  auto packed = model.make_packed_weights();
  packed.pack(model.parameters().data(), {});
  const MatrixView<Scalar> logits = model.forward({model.parameters().data(), packed}, input, cache, workspace, probe);
  std::vector<double> result(static_cast<std::size_t>(batch.count));
  std::vector<double> log_probabilities(static_cast<std::size_t>(logits.columns));
  for (std::size_t place = 0; place < input.read.size(); ++place) {
    const Index row = input.read[place];
    log_softmax(logits.row(static_cast<Index>(place)), log_probabilities);
    const auto target = static_cast<std::size_t>(batch.targets[static_cast<std::size_t>(row)]);
    result[static_cast<std::size_t>(row / batch.length)] += batch.weight(row) * log_probabilities[target];
  }
  return result;
}

INCONTEXT_NAMESPACE_END
