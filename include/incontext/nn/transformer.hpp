#pragma once
/// \file
/// The transformer: an embedding, blocks on a residual stream, a final norm, a read-out.

#include "incontext/core/choice.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/executor.hpp"
#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/architecture.hpp"
#include "incontext/nn/block.hpp"
#include "incontext/nn/embedding.hpp"
#include "incontext/nn/log_softmax.hpp"
#include "incontext/nn/probe.hpp"
#include "incontext/nn/read_out.hpp"
#include "incontext/nn/read_rows.hpp"
#include "incontext/task/example_batch.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The run-time sizes of a transformer.
struct TransformerSettings {
  Index dimension = 8;                    ///< coordinates of an input x; 0 for a model that reads discrete tokens only
  Index points = 17;                      ///< most points of a prompt
  Index layers = 4;                       ///< blocks
  Index heads = 2;                        ///< attention heads of a block; divides the width
  Index width = 64;                       ///< size of the residual stream
  Index hidden = 0;                       ///< units of the feed-forward part; 0 means 4 * width
  Index vocabulary = 0;                   ///< discrete tokens; 0 means none
  Index prefix = 0;                       ///< most instruction tokens in front of a prompt
  Index outputs = 1;                      ///< 1 for regression, the vocabulary for a token model
  Index positions = 0;                    ///< rows of the position table; 0 means what `prefix` and `points` need
  double initial_scale = 0.02;            ///< standard deviation of the initial weights; GPT-2's
  Precision precision = Precision::fp32;  ///< of the blocks' matrix products; concerns `float` only
  bool operator==(const TransformerSettings&) const = default;
};

/// A transformer with weights. `Architecture` is a bundle of policies (nn/architecture.hpp).
///
/// As a `Predictor` it predicts every point of every prompt. The parameters are one flat buffer; names and shapes are
/// GPT-2's, so its checkpoints open in PyTorch.
template <class Scalar = float, class Architecture = Gpt2>
class Transformer {
 public:
  using scalar_type = Scalar;
  using architecture_type = Architecture;
  using Settings = TransformerSettings;
  using Encoding = typename Architecture::Encoding;
  static_assert(!Encoding::needs_causal_mask || Architecture::Attention::mask_type::is_causal,
                "this encoding puts labels after the inputs that predict them, so the attention mask must be causal");

  /// What one forward pass leaves for the backward pass.
  struct Cache {
    std::vector<typename Block<Architecture>::template Cache<Scalar>> blocks;
    typename Architecture::Norm::template Cache<Scalar> final_norm;
    ReadOut::Cache<Scalar> read_out;
  };

  /// What a pass takes from a workspace at the most, in scalars.
  struct WorkspaceSize {
    Index lasting = 0;    ///< from the workspace itself
    Index temporary = 0;  ///< from its temporary memory
  };

  /// Weights drawn from `key`. As GPT-2: normal with `initial_scale`, the projections into the residual stream divided
  /// by sqrt(2 layers), biases zero, norms one; read-in and read-out as PyTorch's Linear, uniform within
  /// 1 / sqrt(inputs).
  /// \throws ConfigurationError if a size makes no sense; the message names it
  Transformer(const Settings& settings, Key key) : settings_(checked(settings)) {
    ParameterLayout layout;
    embedding_ = Embedding<typename Architecture::Position>(layout, inputs(), settings_.vocabulary, settings_.positions,
                                                            settings_.width);
    for (Index layer = 0; layer < settings_.layers; ++layer) {
      blocks_.emplace_back(layout, text("transformer.h.", layer), settings_.width, settings_.heads, settings_.hidden);
    }
    final_norm_ = typename Architecture::Norm(layout, "transformer.ln_f", settings_.width);
    read_out_ = ReadOut(layout, "read_out", settings_.width, settings_.outputs);
    parameters_ = ParameterBuffer<Scalar>(std::make_shared<const ParameterLayout>(std::move(layout)));
    initialise(key);
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const ParameterBuffer<Scalar>& parameters() const { return parameters_; }
  [[nodiscard]] ParameterBuffer<Scalar>& parameters() { return parameters_; }

  /// The same model in another scalar type: the oracle in double, the gradient check in complex numbers.
  template <class Other>
  [[nodiscard]] Transformer<Other, Architecture> cast() const {
    Transformer<Other, Architecture> result(settings_, Key{});
    result.parameters() = parameters_.template cast<Other>();
    return result;
  }

  /// Room for the model's weight matrices in panels; `pack` fills it.
  [[nodiscard]] PackedWeights<Scalar> make_packed_weights() const {
    std::vector<WeightMatrix> matrices;
    for (const Block<Architecture>& block : blocks_) {
      block.visit_matrices([&](const WeightMatrix& matrix) { matrices.push_back(matrix); });
    }
    return PackedWeights<Scalar>(std::move(matrices), settings_.precision);
  }

  /// The outputs at every token that is read, [output rows, outputs]. \throws ShapeError if the input does not fit the
  /// model
  MatrixView<Scalar> forward(const ModelInput<Scalar>& input, Cache& cache, Workspace<Scalar>& workspace) const {
    return forward(weights(), input, cache, workspace);
  }
  /// The same with weights that are packed already, `Weights(model.parameters().data(), packed)`, and with a probe that
  /// sees, and may change, the residual stream between the layers. Without one, the last block is computed where it is
  /// read, to the same bits.
  MatrixView<Scalar> forward(Weights<Scalar> weights, const ModelInput<Scalar>& input, Cache& cache,
                             Workspace<Scalar>& workspace, ProbeReference<Scalar> probe = {}) const {
    const auto show = [&](std::size_t layer, MatrixView<Scalar> shown) {
      if (probe) {
        probe(static_cast<Index>(layer), input.shape, shown);
      }
    };
    cache.blocks.resize(blocks_.size());
    MatrixView<Scalar> stream = embedding_.forward(weights, input, workspace);
    show(0, stream);
    for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
      const MatrixView<const Scalar> before = stream;
      const ReadRows read = probe || layer + 1 < blocks_.size() ? ReadRows{} : ReadRows{input.read};
      stream = blocks_[layer].forward(weights, input.shape, before, cache.blocks[layer], workspace, read);
      show(layer + 1, stream);
    }
    const MatrixView<const Scalar> last = probe ? gather<Scalar>(stream, input.read, workspace) : stream;
    const SequenceShape shape = input.output_shape();
    const MatrixView<const Scalar> normed = final_norm_.forward(weights, shape, last, cache.final_norm, workspace);
    return read_out_.forward(weights, shape, normed, cache.read_out, workspace);
  }

  /// Adds the gradient of every parameter to `gradients`, given that of the outputs, [output rows, outputs].
  void backward(const ModelInput<Scalar>& input, MatrixView<const Scalar> d_output, const Cache& cache,
                ParameterBuffer<Scalar>& gradients, Workspace<Scalar>& workspace) const {
    backward(weights(), input, d_output, cache, gradients, workspace);
  }
  /// The same with weights that are packed already.
  void backward(Weights<Scalar> weights, const ModelInput<Scalar>& input, MatrixView<const Scalar> d_output,
                const Cache& cache, ParameterBuffer<Scalar>& gradients, Workspace<Scalar>& workspace) const {
    Scalar* into = gradients.data();
    const MatrixView<Scalar> d_stream = workspace.take(input.shape.rows(), settings_.width);
    // What a layer takes for itself is taken back when it is done: the next one finds it in cache.
    const auto back = [&](const auto& layer, SequenceShape shape, MatrixView<const Scalar> d_out, const auto& its_cache,
                          MatrixView<Scalar> target) {
      const auto mark = workspace.mark();
      const MatrixView<Scalar> d_in = layer.backward(weights, shape, d_out, its_cache, into, workspace);
      copy_matrix<Scalar>(d_in, target);
      workspace.release(mark);
    };
    const auto back_block = [&](std::size_t layer, MatrixView<const Scalar> d_out) {
      const auto mark = workspace.mark();
      blocks_[layer].backward(weights, input.shape, d_out, cache.blocks[layer], into, workspace, d_stream);
      workspace.release(mark);
    };
    const auto mark = workspace.mark();
    const SequenceShape read = input.output_shape();
    MatrixView<Scalar> d_last = input.read.empty() ? d_stream : workspace.take(read.rows(), settings_.width);
    back(read_out_, read, d_output, cache.read_out, d_last);
    back(final_norm_, read, d_last, cache.final_norm, d_last);
    if (cache.blocks.back().read.empty() && !input.read.empty()) {
      scatter<Scalar>(d_last, input.read, d_stream);  // the last block was run on all rows, for a probe
      d_last = d_stream;
    }
    back_block(blocks_.size() - 1, d_last);
    workspace.release(mark);
    for (std::size_t layer = blocks_.size() - 1; layer-- > 0;) {
      back_block(layer, d_stream);
    }
    embedding_.backward(input, MatrixView<const Scalar>(d_stream), into, workspace);
  }

  /// A bound on what a forward and a backward pass with packed weights take, the gradient of the outputs included. With
  /// r rows in sequences of t tokens, n of them `named` as read, or 0 for none by name, width w, hidden units h, u of
  /// them at once, a = 2 where the activation is kept and else 1, H heads and L layers, up to the padding of extents:
  ///
  ///     what the backward reads      L r (6 w + a h + H t + 4) + 2 r w
  ///     less, where rows are named   (r - n) (4 w + a h + H t + 2)
  ///     the block whose turn it is   9 r w, or r (2 w + (3 - a) u) if that is more
  ///     temporary                    r (2 w + (2 - a) u)
  ///
  /// At low precision, and where columns do not fill whole registers, the packed operands of a layer's products are
  /// added. Layers that are not the library's may take more; a workspace then grows.
  [[nodiscard]] WorkspaceSize workspace_size(SequenceShape shape, Index named = 0) const {
    const Index all = shape.rows();
    const Index read = named > 0 ? named : all;
    const Index tokens = shape.tokens;
    const Index width = settings_.width;
    const Index hidden = settings_.hidden;
    const Index outputs = settings_.outputs;
    const Index head_size = width / settings_.heads;
    const auto room = [](Index row_count, Index columns) { return Workspace<Scalar>::room_for(row_count, columns); };
    const auto panels = [&](Index inner, Index columns) { return room(inner, padded<Scalar>(columns)); };
    const auto if_named = [&](Index size) { return named > 0 ? size : 0; };

    // Queries, keys and values, apart where rows are named.
    const Index joint = room(all, 3 * width);
    const Index apart = named > 0 ? room(read, width) + room(all, 2 * width) : joint;
    // Of a block of which `rows` are read.
    const Index activations = keeps_activation(hidden) ? 2 : 1;  // what is kept of every hidden unit
    const auto kept_by = [&](Index rows, Index qkv) {
      return qkv + 3 * room(rows, width) + activations * room(rows, hidden) +
             room(settings_.heads * rows, padded<Scalar>(tokens)) + room(all, 2) + room(rows, 2);
    };
    const Index kept = (settings_.layers - 1) * kept_by(all, joint) + kept_by(read, apart) + 2 * room(all, width) +
                       room(read, 2) + 2 * room(read, outputs);

    // What the operands of A'B take, by their columns; at low precision also the left one of A B.
    const bool low = is_low<Scalar>(settings_.precision);
    const Index parts = settings_.precision == Precision::bf16x3 ? 2 : 1;
    const auto pairs = [&](Index rows, Index columns) {
      return parts * room(1, PackedTiles::size(Precision::bf16, rows, columns));
    };
    const auto copied = [&](Index rows, Index columns, Index right_columns) {
      return detail::is_close<Scalar>(rows, columns, right_columns) ? 0 : room(rows, detail::transposed_rows);
    };
    const auto left = [&](Index rows, Index columns, Index right_columns) {
      return low ? pairs(rows, columns) : copied(rows, columns, right_columns);
    };
    const auto brought = [&](Index inner, Index columns) {
      return lies_in_panels<Scalar>(columns) ? 0 : panels(inner, columns);
    };
    const auto right = [&](Index rows, Index columns) { return low ? pairs(rows, columns) : brought(rows, columns); };
    const Index operand_of_head = (std::max)(panels(head_size, tokens), panels(tokens, head_size));
    const Index heads =
        operand_of_head + panels(tokens, tokens) + brought(tokens, head_size) + copied(tokens, tokens, head_size);
    const Index units = units_at_once(settings_.precision, hidden);
    const auto expanding = [&](Index rows) {
      const Index right_of_units =
          (std::max)(right(rows, units), right(rows, hidden % units));  // of the last ones, too
      return 2 * room(rows, width) + (3 - activations) * room(rows, units) + right(rows, width) + right_of_units +
             (low ? 2 * pairs(rows, width) + pairs(rows, units)
                  : (std::max)(copied(rows, width, units), copied(rows, units, width)));
    };
    const auto projecting = [&](Index rows) { return left(rows, width, width) + right(rows, width); };
    const Index stream = room(all, width);
    const Index some = room(read, width);
    const Index attending =
        5 * stream + joint + (std::max)(heads, stream + left(all, width, 3 * width) + right(all, 3 * width));
    // Parts of the joint layer that do not begin with a panel are packed where they are used.
    const auto part = [&](Index columns) {
      const auto size = [&](Index rows_of_part, Index columns_of_part) {
        return room(1, PackedOperand<Scalar>::size(settings_.precision, rows_of_part, columns_of_part));
      };
      return width % block_size == 0 ? 0 : (std::max)(size(width, columns), size(columns, width));
    };
    const Index attending_apart =
        4 * some + stream + apart +
        (std::max)(heads, stream + (std::max)(2 * some + part(width) + projecting(read),
                                              stream + (std::max)(part(2 * width) + left(all, width, 2 * width) +
                                                                      right(all, 2 * width),
                                                                  stream)));
    const Index ends = some + brought(all, width) +
                       (std::max)(copied(all, inputs(), width), copied(read, outputs, width)) + panels(outputs, width) +
                       panels(width, outputs) + panels(inputs(), width) + room(inputs(), width);
    const Index last =
        if_named(some) + (std::max)({expanding(read), 5 * some + projecting(read), ends,
                                     named > 0 ? attending_apart : attending, if_named(part(2 * width))});
    const Index others = settings_.layers > 1 ? (std::max)(expanding(all), attending) : 0;

    const auto lefts = [&](Index rows, Index columns) { return low ? pairs(rows, columns) : 0; };
    const Index asking = stream + if_named(2 * some) + (std::max)(operand_of_head, lefts(all, width));
    const Index rows_fed = settings_.layers > 1 ? all : read;
    const Index feeding = room(rows_fed, width) + (2 - activations) * room(rows_fed, units) + lefts(rows_fed, width) +
                          lefts(rows_fed, units);
    const Index d_joint = settings_.layers > 1 || named == 0 ? 3 * width : 2 * width;
    const Index backward = some + lefts(all, d_joint);  // the final norm's output is there, too
    return {kept + (std::max)(last, others), (std::max)({asking, feeding, backward})};
  }

  /// Predictions at every point of every prompt, [count, points]. Work is cut in groups of `prompts_per_shard`.
  /// \throws ShapeError if the prompts do not fit the model
  [[nodiscard]] Predictions predict(const Prompts& prompts, ExecutorReference executor = {}) const {
    check_prompts(prompts);
    PackedWeights<Scalar> packed = make_packed_weights();
    packed.pack(parameters_.data(), executor);
    Predictions predictions(prompts.count, prompts.points);
    for (Index last = prompts.points; last > 0; last = Encoding::first_prediction(last)) {
      const Prompts seen = last == prompts.points ? prompts : prompts.first_points(last);
      const Index shards = (prompts.count + prompts_per_shard - 1) / prompts_per_shard;
      executor.run(shards, [&](Index shard) { predict_shard(packed, seen, shard * prompts_per_shard, predictions); });
    }
    return predictions;
  }

  /// The answer to every sequence: what follows from the first predicted position to the end, drawn token by token with
  /// the probabilities that the model gives, each read before the next. Free-running, so that an answer is
  /// what a user of the model would get; the targets are not looked at. The stream is the batch's, so it is pure.
  /// \throws ShapeError if the batch does not fit the model, or its answers start at different places
  [[nodiscard]] TokenPredictions predict(const TokenBatch& batch, ExecutorReference executor = {}) const {
    check_tokens(batch);
    const Index start = batch.answer_start();
    const Index answer = batch.length - start;
    TokenPredictions predictions{.count = batch.count,
                                 .answer = answer,
                                 .tokens = std::vector<int>(static_cast<std::size_t>(batch.count * answer)),
                                 .log_probabilities = RowMatrix<double>(batch.count, settings_.outputs)};
    PackedWeights<Scalar> packed = make_packed_weights();
    packed.pack(parameters_.data(), executor);
    const Index shards = (batch.count + prompts_per_shard - 1) / prompts_per_shard;
    executor.run(shards,
                 [&](Index shard) { answer_shard(packed, batch, start, shard * prompts_per_shard, predictions); });
    return predictions;
  }

  /// \throws ShapeError if the batch does not fit the model
  void check_tokens(const TokenBatch& batch) const {
    require<ShapeError>(static_cast<Index>(batch.tokens.size()) == batch.count * batch.length, batch.count,
                        " sequences of length ", batch.length, " hold ", batch.tokens.size(), " tokens, expected ",
                        batch.count * batch.length);
    require<ShapeError>(settings_.outputs > 1,
                        "a model with 1 output does not predict tokens; expected an output for "
                        "every token of the vocabulary");
  }

  /// \throws ShapeError if the prompts do not fit the model
  void check_prompts(const Prompts& prompts) const {
    require<ShapeError>(prompts.dimension == settings_.dimension, "prompts of dimension ", prompts.dimension,
                        " for a model of dimension ", settings_.dimension);
    require<ShapeError>(static_cast<Index>(prompts.tokens.size()) == prompts.count * prompts.prefix, prompts.count,
                        " prompts with a prefix of ", prompts.prefix, " hold ", prompts.tokens.size(),
                        " instruction tokens, expected ", prompts.count * prompts.prefix);
    require<ShapeError>(settings_.outputs == 1, "a model with ", settings_.outputs,
                        " outputs does not predict labels; expected 1 output");
  }

 private:
  static constexpr Index prompts_per_shard = 32;

  [[nodiscard]] Weights<Scalar> weights() const { return {parameters_.data(), settings_.precision}; }
  [[nodiscard]] Index inputs() const { return settings_.dimension > 0 ? Encoding::inputs(settings_.dimension) : 0; }

  static Settings checked(Settings settings) {
    require_at_least("Transformer", "dimension", settings.dimension, 0);
    require_at_least("Transformer", "points", settings.points, 1);
    require_at_least("Transformer", "layers", settings.layers, 1);
    require_at_least("Transformer", "heads", settings.heads, 1);
    require_at_least("Transformer", "width", settings.width, 1);
    require_at_least("Transformer", "hidden", settings.hidden, 0);
    require_at_least("Transformer", "vocabulary", settings.vocabulary, settings.dimension == 0 ? 1 : 0);
    require_at_least("Transformer", "prefix", settings.prefix, 0);
    require_at_least("Transformer", "outputs", settings.outputs, 1);
    require(settings.width % settings.heads == 0, "Transformer: width is ", settings.width,
            ", expected a multiple of the ", settings.heads, " heads");
    require(std::isfinite(settings.initial_scale) && settings.initial_scale >= 0.0, "Transformer: initial_scale is ",
            settings.initial_scale, ", expected a finite number of at least 0");
    if (settings.hidden == 0) {
      settings.hidden = 4 * settings.width;
    }
    if (settings.positions == 0) {
      settings.positions = Encoding::tokens(settings.prefix, settings.points);
    }
    require_at_least("Transformer", "positions", settings.positions, 1);
    return settings;
  }

  void initialise(Key key) {
    Scalar* parameters = parameters_.data();
    const double residual_scale = settings_.initial_scale / std::sqrt(2.0 * static_cast<double>(settings_.layers));
    const auto normal = [&](Key role, ParameterId id, double scale) {
      Stream(role).fill_normal(parameters + id.offset, parameters + id.offset + id.size, scale);
    };
    const auto uniform = [&](Key role, ParameterId id, Index fan_in) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
      Stream stream(role);
      for (Index index = 0; index < id.size; ++index) {
        parameters[id.offset + index] = static_cast<Scalar>(stream.uniform(-bound, bound));
      }
    };
    normal(key.fold("token embedding"), embedding_.table(), settings_.initial_scale);
    normal(key.fold("position embedding"), embedding_.position(), settings_.initial_scale);
    if (inputs() > 0) {
      uniform(key.fold("read-in weight"), embedding_.read_in_weight(), inputs());
      uniform(key.fold("read-in bias"), embedding_.read_in_bias(), inputs());
    }
    for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
      const Block<Architecture>& block = blocks_[layer];
      const Key layer_key = key.fold("block").fold(layer);
      block.initialise_norms(parameters);
      normal(layer_key.fold("attention"), block.attention().joint().weight(), settings_.initial_scale);
      normal(layer_key.fold("attention projection"), block.attention().projection().weight(), residual_scale);
      if constexpr (Architecture::FeedForward::is_present) {
        normal(layer_key.fold("expand"), block.feed_forward().expand().weight(), settings_.initial_scale);
        normal(layer_key.fold("contract"), block.feed_forward().contract().weight(), residual_scale);
      }
    }
    final_norm_.initialise(parameters);
    uniform(key.fold("read-out weight"), read_out_.weight(), settings_.width);
    uniform(key.fold("read-out bias"), read_out_.bias(), settings_.width);
  }

  void predict_shard(const PackedWeights<Scalar>& packed, const Prompts& prompts, Index first,
                     Predictions& predictions) const {
    const Index number = (std::min)(prompts_per_shard, prompts.count - first);
    ModelInput<Scalar> input;
    Cache cache;
    Workspace<Scalar> workspace;
    encode_to_predict<Encoding>(prompts, first, number, input);
    const MatrixView<Scalar> output = forward({parameters_.data(), packed}, input, cache, workspace);
    const Index each = predictions_of<Encoding>(prompts.points);
    for (Index row = 0; row < output.rows; ++row) {
      predictions(first + row / each, prompts.points - each + row % each) =
          static_cast<double>(real_part(output(row, 0)));
    }
  }

  void answer_shard(const PackedWeights<Scalar>& packed, const TokenBatch& batch, Index start, Index first,
                    TokenPredictions& predictions) const {
    const Index number = (std::min)(prompts_per_shard, batch.count - first);
    const Index outputs = settings_.outputs;
    std::vector<int> tokens(batch.tokens.begin() + first * batch.length,
                            batch.tokens.begin() + (first + number) * batch.length);
    std::vector<double> log_probabilities(static_cast<std::size_t>(outputs));
    ModelInput<Scalar> input;
    Cache cache;
    Workspace<Scalar> workspace;
    for (Index position = start; position < batch.length; ++position) {
      const Index seen = position + 1;
      input.reset({number, seen}, 0);
      for (Index sequence = 0; sequence < number; ++sequence) {
        std::copy_n(tokens.begin() + sequence * batch.length, seen, input.ids.begin() + sequence * seen);
        input.read.push_back(sequence * seen + position);
      }
      workspace.reset();
      const MatrixView<Scalar> logits = forward({parameters_.data(), packed}, input, cache, workspace);
      for (Index sequence = 0; sequence < number; ++sequence) {
        const Index row = first + sequence;
        log_softmax(logits.row(sequence), log_probabilities);
        if (position == start) {
          std::copy(log_probabilities.begin(), log_probabilities.end(),
                    predictions.log_probabilities.data() + row * outputs);
        }
        const double place = Stream(batch.key.fold("answer").fold(row).fold(position - start)).uniform();
        const int token = static_cast<int>(choice_at(place, log_probabilities.size(), [&](std::size_t candidate) {
          return std::exp(log_probabilities[candidate]);
        }));
        predictions.tokens[static_cast<std::size_t>(row * predictions.answer + position - start)] = token;
        if (seen < batch.length) {
          tokens[static_cast<std::size_t>(sequence * batch.length + seen)] = token;
        }
      }
    }
  }

  Settings settings_;
  Embedding<typename Architecture::Position> embedding_;
  std::vector<Block<Architecture>> blocks_;
  typename Architecture::Norm final_norm_;
  ReadOut read_out_;
  ParameterBuffer<Scalar> parameters_;
};

INCONTEXT_NAMESPACE_END
