#pragma once
/// \file
/// Multi-head self-attention: one product for queries, keys and values, an attention kernel, a mask, a projection.

#include "incontext/nn/attention_kernel.hpp"
#include "incontext/nn/linear.hpp"
#include "incontext/nn/mask.hpp"
#include "incontext/nn/read_rows.hpp"

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
    ReadRows read;                         // the rows that ask
    MatrixView<const Scalar> queries;      // [rows that ask, width]
    MatrixView<const Scalar> keys_values;  // [rows, 2 * width], side by side
    MatrixView<Scalar> weights;            // [heads * rows that ask, padded(tokens)]
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

  /// The same plus an addend of the output's shape: the residual stream. Where rows are named as read, only they ask,
  /// and the output is theirs, [rows that ask, width]; every token is still a key and a value. `read` has to live as
  /// long as the cache.
  template <class Scalar>
  MatrixView<Scalar> forward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                  SequenceShape shape, MatrixView<const Scalar> input, Cache<Scalar>& cache,
                                  Workspace<Scalar>& workspace, ReadRows read = {}) const {
    const Index tokens = shape.tokens;
    const SequenceShape asking = shape_of_read(shape, read);
    Workspace<Scalar>& temporary = workspace.temporary();
    const auto mark = temporary.mark();
    cache.read = read;
    if (read.empty()) {
      const MatrixView<Scalar> qkv = joint_.forward(weights, shape, input, cache.joint, workspace);
      cache.queries = queries_in(qkv), cache.keys_values = keys_values_in(qkv);
    } else {
      cache.queries =
          queries_of_joint().forward(weights, asking, gather(input, read, temporary), cache.joint, workspace);
      cache.keys_values = keys_values_of_joint().forward(weights, shape, input, cache.joint, workspace);
    }
    cache.weights = workspace.take(heads_ * asking.rows(), padded<Scalar>(tokens));
    const MatrixView<Scalar> mixed = workspace.take(asking.rows(), width_);
    Scalar* const panels = temporary.take(1, panels_size<Scalar>(tokens)).data;
    const auto scale = static_cast<Scalar>(Kernel::scale(head_size()));
    for_each_sequence(shape, read, [&](Index sequence, const ReadTokens& queries) {
      const auto visible = [&](Index place) { return Mask::visible(queries.token(place), tokens); };
      for (Index head = 0; head < heads_; ++head) {
        const Heads<Scalar> views = heads_of(shape, sequence, queries, head, cache);
        multiply<Scalar>(views.queries, pack(views.keys, panels, Orientation::transposed), views.weights, {},
                         visible_columns(queries, tokens));
        Kernel::forward(scale, views.weights, visible);
        multiply<Scalar>(views.weights.block(0, 0, queries.count(), tokens), in_panels(views.values, panels),
                         of_head(mixed, queries, head), {}, visible_inner(queries, tokens));
      }
    });
    temporary.release(mark);
    return projection_.forward_onto(addend, weights, asking, MatrixView<const Scalar>(mixed), cache.projection,
                                    workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.joint.input, weights, shape, d_output, cache, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept. The gradient of the output is [rows that ask,
  /// width], that of the input [rows, width].
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace) const {
    const Index tokens = shape.tokens;
    const SequenceShape asking = shape_of_read(shape, cache.read);
    const MatrixView<Scalar> d_mixed =
        projection_.backward(weights, asking, d_output, cache.projection, gradients, workspace);
    const bool all_ask = cache.read.empty();
    const MatrixView<Scalar> d_qkv = all_ask ? workspace.take(shape.rows(), 3 * width_) : MatrixView<Scalar>{};
    const MatrixView<Scalar> d_queries = all_ask ? queries_in(d_qkv) : workspace.take(asking.rows(), width_);
    const MatrixView<Scalar> d_keys_values = all_ask ? keys_values_in(d_qkv) : workspace.take(shape.rows(), 2 * width_);
    const auto mark = workspace.mark();
    Scalar* const panels = workspace.take(1, panels_size<Scalar>(tokens)).data;
    const MatrixView<Scalar> d_room = workspace.take(tokens, padded<Scalar>(tokens));
    const auto scale = static_cast<Scalar>(Kernel::scale(head_size()));
    for_each_sequence(shape, cache.read, [&](Index sequence, const ReadTokens& queries) {
      const auto visible = [&](Index place) { return Mask::visible(queries.token(place), tokens); };
      for (Index head = 0; head < heads_; ++head) {
        const Heads<Scalar> views = heads_of(shape, sequence, queries, head, cache);
        const MatrixView<const Scalar> d_head = of_head(d_mixed, queries, head);
        const MatrixView<const Scalar> attended = views.weights.block(0, 0, queries.count(), tokens);
        const MatrixView<Scalar> d_keys = of_head(d_keys_values, shape, sequence, head, 0);
        const MatrixView<Scalar> d_values = of_head(d_keys_values, shape, sequence, head, 1);
        multiply_transposed_left<Scalar>(attended, d_head, d_values, {}, workspace,
                                         asked_inner(queries));  // dV = A' dO
        const MatrixView<Scalar> d_weights = d_room.block(0, 0, queries.count(), d_room.columns);
        multiply<Scalar>(d_head, pack(views.values, panels, Orientation::transposed), d_weights, {},
                         visible_columns(queries, tokens));  // dA = dO V'
        Kernel::backward(scale, attended, d_weights, visible);
        const MatrixView<const Scalar> d_scores = d_weights.block(0, 0, queries.count(), tokens);
        multiply<Scalar>(d_scores, in_panels(views.keys, panels), of_head(d_queries, queries, head), {},
                         visible_inner(queries, tokens));  // dQ = dS K
        multiply_transposed_left<Scalar>(d_scores, views.queries, d_keys, {}, workspace,
                                         asked_inner(queries));  // dK = dS' Q
      }
    });
    workspace.release(mark);
    if (all_ask) {
      return joint_.backward_from(input, weights, shape, MatrixView<const Scalar>(d_qkv), gradients, workspace);
    }
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), width_);
    const auto mark_of_queries = workspace.mark();
    const MatrixView<const Scalar> from_queries =
        queries_of_joint().backward_from(gather(input, cache.read, workspace), weights, asking,
                                         MatrixView<const Scalar>(d_queries), gradients, workspace);
    scatter(from_queries, cache.read, d_input);
    workspace.release(mark_of_queries);
    return keys_values_of_joint().backward_from(input, weights, shape, MatrixView<const Scalar>(d_keys_values),
                                                gradients, workspace, d_input);
  }

 private:
  // Visits every sequence with those of its tokens that ask.
  template <class Visitor>
  static void for_each_sequence(SequenceShape shape, ReadRows read, const Visitor& visitor) {
    Index asked = 0;
    for (Index sequence = 0; sequence < shape.sequences; ++sequence) {
      const ReadTokens queries(read, sequence * shape.tokens, shape.tokens, asked);
      visitor(sequence, queries);
      asked += queries.count();
    }
  }

  // What the mask leaves of a product, for a tile of rows [first, last). Rows of queries meet the keys that their last
  // row sees.
  [[nodiscard]] auto visible_columns(const ReadTokens& queries, Index tokens) const {
    return [inner = head_size(), &queries, tokens](Index, Index last) {
      return ProductPart{0, inner, Mask::visible(queries.token(last - 1), tokens)};
    };
  }
  // Rows of attention weights are zero beyond what their last row sees.
  [[nodiscard]] auto visible_inner(const ReadTokens& queries, Index tokens) const {
    return [columns = head_size(), &queries, tokens](Index, Index last) {
      return ProductPart{0, Mask::visible(queries.token(last - 1), tokens), columns};
    };
  }
  // Columns of attention weights are zero above the first row that sees their first; nobody may ask for the last.
  [[nodiscard]] auto asked_inner(const ReadTokens& queries) const {
    return [columns = head_size(), &queries](Index first, Index) {
      const Index from = queries.place_from(Mask::first_seeing(first));
      return from < queries.count() ? ProductPart{from, queries.count(), columns} : ProductPart{0, 0, columns};
    };
  }

  // Room for the panels of any operand of one head.
  template <class Scalar>
  [[nodiscard]] Index panels_size(Index tokens) const {
    return (std::max)(PackedPanels<Scalar>::size(head_size(), tokens), PackedPanels<Scalar>::size(tokens, head_size()));
  }

  template <class Scalar>
  struct Heads {
    MatrixView<const Scalar> queries;  // [tokens that ask, head size]
    MatrixView<const Scalar> keys;     // [tokens, head size]
    MatrixView<const Scalar> values;   // [tokens, head size]
    MatrixView<Scalar> weights;        // [tokens that ask, padded(tokens)]
  };

  [[nodiscard]] Index head_size() const { return width_ / heads_; }

  // What one head of one sequence has in a matrix of queries, [rows that ask, width].
  template <class Scalar>
  [[nodiscard]] MatrixView<Scalar> of_head(const MatrixView<Scalar>& matrix, const ReadTokens& queries,
                                           Index head) const {
    return matrix.block(queries.first(), head * head_size(), queries.count(), head_size());
  }
  // And in one of keys, part 0, and values, part 1: [rows, 2 * width].
  template <class Scalar>
  [[nodiscard]] MatrixView<Scalar> of_head(const MatrixView<Scalar>& keys_values, SequenceShape shape, Index sequence,
                                           Index head, Index part) const {
    return keys_values.block(sequence * shape.tokens, part * width_ + head * head_size(), shape.tokens, head_size());
  }

  // The first third of the joint layer, and what it puts out.
  [[nodiscard]] Linear queries_of_joint() const { return joint_.part(0, width_); }
  template <class Scalar>
  [[nodiscard]] MatrixView<Scalar> queries_in(const MatrixView<Scalar>& qkv) const {
    return qkv.block(0, 0, qkv.rows, width_);
  }
  // The other two.
  [[nodiscard]] Linear keys_values_of_joint() const { return joint_.part(width_, 2 * width_); }
  template <class Scalar>
  [[nodiscard]] MatrixView<Scalar> keys_values_in(const MatrixView<Scalar>& qkv) const {
    return qkv.block(0, width_, qkv.rows, 2 * width_);
  }

  template <class Scalar>
  Heads<Scalar> heads_of(SequenceShape shape, Index sequence, const ReadTokens& queries, Index head,
                         const Cache<Scalar>& cache) const {
    const Index first_weights = heads_ * queries.first() + head * queries.count();
    return {of_head(cache.queries, queries, head), of_head(cache.keys_values, shape, sequence, head, 0),
            of_head(cache.keys_values, shape, sequence, head, 1),
            cache.weights.block(first_weights, 0, queries.count(), cache.weights.columns)};
  }

  Index width_ = 0;
  Index heads_ = 1;
  Linear joint_;
  Linear projection_;
};

INCONTEXT_NAMESPACE_END
