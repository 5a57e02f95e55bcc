#pragma once
/// \file
/// Multi-head self-attention: one product for queries, keys and values, an attention kernel, a mask, a projection.

#include "incontext/nn/attention_kernel.hpp"
#include "incontext/nn/linear.hpp"
#include "incontext/nn/mask.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// Self-attention on [rows, width], all heads. Names and shapes of the parameters are GPT-2's: `c_attn` holds the
/// columns of queries, keys and values side by side. Derivation: docs/derivations/attention.md.
template <class Kernel, class Mask>
class Attention {
 public:
  using mask_type = Mask;

  template <class Scalar>
  struct Cache {
    Linear::Cache<Scalar> joint;
    Linear::Cache<Scalar> projection;
    MatrixView<Scalar> qkv;      // [rows, 3 * width]
    MatrixView<Scalar> weights;  // [sequences * heads * tokens, padded(tokens)]
  };

  Attention() = default;
  Attention(ParameterLayout& layout, const std::string& name, Index width, Index heads)
      : width_(width),
        heads_(heads),
        joint_(layout, name + ".c_attn", width, 3 * width),
        projection_(layout, name + ".c_proj", width, width) {}

  [[nodiscard]] const Linear& joint() const { return joint_; }
  [[nodiscard]] const Linear& projection() const { return projection_; }

  template <class Scalar>
  MatrixView<Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    const Index tokens = shape.tokens;
    cache.qkv = joint_.forward(parameters, shape, input, cache.joint, workspace);
    cache.weights = workspace.take(shape.sequences * heads_ * tokens, padded<Scalar>(tokens));
    const MatrixView<Scalar> mixed = workspace.take(shape.rows(), width_);
    const auto mark = workspace.mark();
    const MatrixView<Scalar> keys_transposed = workspace.take(head_size(), padded<Scalar>(tokens));
    const auto scale = static_cast<Scalar>(Kernel::scale(head_size()));
    for (Index sequence = 0; sequence < shape.sequences; ++sequence) {
      for (Index head = 0; head < heads_; ++head) {
        const Heads<Scalar> views = heads_of(shape, sequence, head, cache);
        transpose<Scalar>(views.keys, keys_transposed);
        multiply<Scalar>(views.queries, keys_transposed, views.weights);
        for (Index token = 0; token < tokens; ++token) {
          const Index visible = Mask::visible(token, tokens);
          scale_row(visible, scale, views.weights.row(token));
          Kernel::forward(visible, views.weights.columns, views.weights.row(token));
        }
        multiply<Scalar>(views.weights.block(0, 0, tokens, tokens), views.values,
                         mixed.block(sequence * tokens, head * head_size(), tokens, head_size()));
      }
    }
    workspace.release(mark);
    return projection_.forward(parameters, shape, MatrixView<const Scalar>(mixed), cache.projection, workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index tokens = shape.tokens;
    const MatrixView<Scalar> d_mixed =
        projection_.backward(parameters, shape, d_output, cache.projection, gradients, workspace);
    const MatrixView<Scalar> d_qkv = workspace.take(shape.rows(), 3 * width_);
    const auto mark = workspace.mark();
    const MatrixView<Scalar> values_transposed = workspace.take(head_size(), padded<Scalar>(tokens));
    const MatrixView<Scalar> d_weights = workspace.take(tokens, padded<Scalar>(tokens));
    const auto scale = static_cast<Scalar>(Kernel::scale(head_size()));
    for (Index sequence = 0; sequence < shape.sequences; ++sequence) {
      for (Index head = 0; head < heads_; ++head) {
        const Heads<Scalar> views = heads_of(shape, sequence, head, cache);
        const auto d_block = [&](Index part) {
          return d_qkv.block(sequence * tokens, part * width_ + head * head_size(), tokens, head_size());
        };
        const MatrixView<const Scalar> d_head =
            d_mixed.block(sequence * tokens, head * head_size(), tokens, head_size());
        const MatrixView<const Scalar> weights = views.weights.block(0, 0, tokens, tokens);
        multiply_transposed_left<Scalar>(weights, d_head, d_block(2));  // dV = A' dO
        transpose<Scalar>(views.values, values_transposed);
        multiply<Scalar>(d_head, values_transposed, d_weights);  // dA = dO V'
        for (Index token = 0; token < tokens; ++token) {
          const Index visible = Mask::visible(token, tokens);
          Kernel::backward(visible, d_weights.columns, weights.row(token), d_weights.row(token));
          scale_row(visible, scale, d_weights.row(token));
        }
        const MatrixView<const Scalar> d_scores = d_weights.block(0, 0, tokens, tokens);
        multiply<Scalar>(d_scores, views.keys, d_block(0));                     // dQ = dS K
        multiply_transposed_left<Scalar>(d_scores, views.queries, d_block(1));  // dK = dS' Q
      }
    }
    workspace.release(mark);
    return joint_.backward(parameters, shape, MatrixView<const Scalar>(d_qkv), cache.joint, gradients, workspace);
  }

 private:
  template <class Scalar>
  struct Heads {
    MatrixView<const Scalar> queries;  // [tokens, head size]
    MatrixView<const Scalar> keys;     // [tokens, head size]
    MatrixView<const Scalar> values;   // [tokens, head size]
    MatrixView<Scalar> weights;        // [tokens, padded(tokens)]
  };

  [[nodiscard]] Index head_size() const { return width_ / heads_; }

  template <class Scalar>
  Heads<Scalar> heads_of(SequenceShape shape, Index sequence, Index head, const Cache<Scalar>& cache) const {
    const auto part = [&](Index number) {
      return cache.qkv.block(sequence * shape.tokens, number * width_ + head * head_size(), shape.tokens, head_size());
    };
    return {part(0), part(1), part(2),
            cache.weights.block((sequence * heads_ + head) * shape.tokens, 0, shape.tokens, cache.weights.columns)};
  }

  Index width_ = 0;
  Index heads_ = 1;
  Linear joint_;
  Linear projection_;
};

INCONTEXT_NAMESPACE_END
