#pragma once
/// \file
/// Multi-head self-attention: one product for queries, keys and values, an attention kernel, a mask, a projection.

#include "incontext/nn/attention_kernel.hpp"
#include "incontext/nn/linear.hpp"
#include "incontext/nn/mask.hpp"

#include <algorithm>
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

  /// The weight matrices of the layer.
  template <class Visitor>
  void visit_matrices(Visitor&& visitor) const {
    visitor(joint_.weight_matrix());
    visitor(projection_.weight_matrix());
  }

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    return forward_onto({}, weights, shape, input, cache, workspace);
  }

  /// The same plus an addend of the output's shape: the residual stream.
  template <class Scalar>
  MatrixView<Scalar> forward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                  SequenceShape shape, MatrixView<const Scalar> input, Cache<Scalar>& cache,
                                  Workspace<Scalar>& workspace) const {
    const Index tokens = shape.tokens;
    cache.qkv = joint_.forward(weights, shape, input, cache.joint, workspace);
    cache.weights = workspace.take(shape.sequences * heads_ * tokens, padded<Scalar>(tokens));
    const MatrixView<Scalar> mixed = workspace.take(shape.rows(), width_);
    Workspace<Scalar>& temporary = workspace.temporary();
    const auto mark = temporary.mark();
    Scalar* const panels = temporary.take(1, panels_size<Scalar>(tokens)).data;
    const auto scale = static_cast<Scalar>(Kernel::scale(head_size()));
    for (Index sequence = 0; sequence < shape.sequences; ++sequence) {
      for (Index head = 0; head < heads_; ++head) {
        const Heads<Scalar> views = heads_of(shape, sequence, head, cache);
        multiply<Scalar>(views.queries, pack(views.keys, panels, Orientation::transposed), views.weights, {},
                         visible_columns(tokens));
        for (Index token = 0; token < tokens; ++token) {
          Kernel::forward(scale, Mask::visible(token, tokens), views.weights.columns, views.weights.row(token));
        }
        multiply<Scalar>(views.weights.block(0, 0, tokens, tokens), in_panels(views.values, panels),
                         mixed.block(sequence * tokens, head * head_size(), tokens, head_size()), {},
                         visible_inner(tokens));
      }
    }
    temporary.release(mark);
    return projection_.forward_onto(addend, weights, shape, MatrixView<const Scalar>(mixed), cache.projection,
                                    workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.joint.input, weights, shape, d_output, cache, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept.
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index tokens = shape.tokens;
    const MatrixView<Scalar> d_mixed =
        projection_.backward(weights, shape, d_output, cache.projection, gradients, workspace);
    const MatrixView<Scalar> d_qkv = workspace.take(shape.rows(), 3 * width_);
    const auto mark = workspace.mark();
    Scalar* const panels = workspace.take(1, panels_size<Scalar>(tokens)).data;
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
        const MatrixView<const Scalar> attended = views.weights.block(0, 0, tokens, tokens);
        multiply_transposed_left<Scalar>(attended, d_head, d_block(2), {}, workspace,
                                         seen_inner(tokens));  // dV = A' dO
        multiply<Scalar>(d_head, pack(views.values, panels, Orientation::transposed), d_weights, {},
                         visible_columns(tokens));  // dA = dO V'
        for (Index token = 0; token < tokens; ++token) {
          Kernel::backward(scale, Mask::visible(token, tokens), d_weights.columns, attended.row(token),
                           d_weights.row(token));
        }
        const MatrixView<const Scalar> d_scores = d_weights.block(0, 0, tokens, tokens);
        multiply<Scalar>(d_scores, in_panels(views.keys, panels), d_block(0), {},
                         visible_inner(tokens));  // dQ = dS K
        multiply_transposed_left<Scalar>(d_scores, views.queries, d_block(1), {}, workspace,
                                         seen_inner(tokens));  // dK = dS' Q
      }
    }
    workspace.release(mark);
    return joint_.backward_from(input, weights, shape, MatrixView<const Scalar>(d_qkv), gradients, workspace);
  }

 private:
  // What the mask leaves of a product, for a tile of rows [first, last). Rows of queries meet the keys that their last
  // row sees.
  [[nodiscard]] auto visible_columns(Index tokens) const {
    return [inner = head_size(), tokens](Index, Index last) {
      return ProductPart{0, inner, Mask::visible(last - 1, tokens)};
    };
  }
  // Rows of attention weights are zero beyond what their last row sees.
  [[nodiscard]] auto visible_inner(Index tokens) const {
    return [columns = head_size(), tokens](Index, Index last) {
      return ProductPart{0, Mask::visible(last - 1, tokens), columns};
    };
  }
  // Columns of attention weights are zero above the first row that sees their first.
  [[nodiscard]] auto seen_inner(Index tokens) const {
    return [columns = head_size(), tokens](Index first, Index) {
      return ProductPart{Mask::first_seeing(first), tokens, columns};
    };
  }

  // Room for the panels of any operand of one head.
  template <class Scalar>
  [[nodiscard]] Index panels_size(Index tokens) const {
    return (std::max)(PackedPanels<Scalar>::size(head_size(), tokens), PackedPanels<Scalar>::size(tokens, head_size()));
  }

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
