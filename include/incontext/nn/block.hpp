#pragma once
/// \file
/// A pre-norm transformer block: x + attention(norm(x)), then x + feed_forward(norm(x)).

#include "incontext/nn/layer.hpp"
#include "incontext/nn/norm.hpp"
#include "incontext/nn/read_rows.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// One block on the residual stream, [rows, width].
template <class Architecture>
class Block {
 public:
  using Norm = typename Architecture::Norm;
  using Attention = typename Architecture::Attention;
  using FeedForward = typename Architecture::FeedForward;

  template <class Scalar>
  struct Cache {
    ReadRows read;
    typename Norm::template Cache<Scalar> attention_norm;
    typename Attention::template Cache<Scalar> attention;
    typename Norm::template Cache<Scalar> feed_forward_norm;
    typename FeedForward::template Cache<Scalar> feed_forward;
  };

  Block() = default;
  Block(ParameterLayout& layout, const std::string& name, Index width, Index heads, Index hidden)
      : attention_norm_(layout, name + ".ln_1", width), attention_(layout, name + ".attn", width, heads) {
    if constexpr (FeedForward::is_present) {
      feed_forward_norm_ = Norm(layout, name + ".ln_2", width);
      feed_forward_ = FeedForward(layout, name + ".mlp", width, hidden);
    }
  }

  [[nodiscard]] const Attention& attention() const { return attention_; }
  [[nodiscard]] const FeedForward& feed_forward() const { return feed_forward_; }

  /// Norms at one; the affine layers are the model's to initialise.
  template <class Scalar>
  void initialise_norms(Scalar* parameters) const {
    attention_norm_.initialise(parameters);
    if constexpr (FeedForward::is_present) {
      feed_forward_norm_.initialise(parameters);
    }
  }

  /// The weight matrices of the block.
  template <class Visitor>
  void visit_matrices(Visitor&& visitor) const {
    attention_.visit_matrices(visitor);
    if constexpr (FeedForward::is_present) {
      feed_forward_.visit_matrices(visitor);
    }
  }

  /// Where rows are named as read, the output is theirs alone, [rows that are read, width]. `read` has to live as long
  /// as the cache.
  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace, ReadRows read = {}) const {
    const auto mark = workspace.temporary().mark();
    cache.read = read;
    const auto normed = attention_norm_.forward(weights, shape, input, cache.attention_norm, workspace);
    const MatrixView<const Scalar> start = gather(input, read, workspace.temporary());
    MatrixView<Scalar> output =
        attention_.forward_onto(start, weights, shape, normed, cache.attention, workspace, read);
    workspace.temporary().release(mark);
    if constexpr (FeedForward::is_present) {
      const SequenceShape rest = shape_of_read(shape, read);
      const MatrixView<const Scalar> middle = output;
      const auto normed_again = feed_forward_norm_.forward(weights, rest, middle, cache.feed_forward_norm, workspace);
      output = feed_forward_.forward_onto(middle, weights, rest, normed_again, cache.feed_forward, workspace);
      workspace.temporary().release(mark);
    }
    return output;
  }

  /// From the gradient of the output to that of the input, [rows, width], which is written to `d_input` where that is
  /// given; it may be `d_output`.
  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace,
                              MatrixView<Scalar> d_input = {}) const {
    MatrixView<const Scalar> d_middle = d_output;
    if constexpr (FeedForward::is_present) {
      const SequenceShape rest = shape_of_read(shape, cache.read);
      const auto d_normed = backward_of_normed(feed_forward_, feed_forward_norm_, weights, rest, d_output,
                                               cache.feed_forward, cache.feed_forward_norm, gradients, workspace);
      d_middle = norm_backward_onto(feed_forward_norm_, d_output, weights, rest, d_normed, cache.feed_forward_norm,
                                    gradients, workspace);
    }
    const auto d_normed = backward_of_normed(attention_, attention_norm_, weights, shape, d_middle, cache.attention,
                                             cache.attention_norm, gradients, workspace);
    if (!cache.read.empty()) {
      const MatrixView<Scalar> d_start = workspace.take(shape.rows(), d_middle.columns);
      scatter(d_middle, cache.read, d_start);
      d_middle = d_start;
    }
    return norm_backward_onto(attention_norm_, d_middle, weights, shape, d_normed, cache.attention_norm, gradients,
                              workspace, d_input);
  }

 private:
  // The backward of layer(normed). What went into the layer was temporary where the norm can make it again.
  template <class Scalar, class Layer, class LayerCache, class NormCache>
  static MatrixView<const Scalar> backward_of_normed(const Layer& layer, const Norm& norm,
                                                     const Weights<Scalar>& weights, SequenceShape shape,
                                                     MatrixView<const Scalar> d_output, const LayerCache& layer_cache,
                                                     const NormCache& norm_cache, Scalar* gradients,
                                                     Workspace<Scalar>& workspace) {
    if constexpr (requires { norm.reapply(weights, norm_cache, workspace); }) {
      const MatrixView<const Scalar> normed = norm.reapply(weights, norm_cache, workspace);
      return layer.backward_from(normed, weights, shape, d_output, layer_cache, gradients, workspace);
    } else {
      return layer.backward(weights, shape, d_output, layer_cache, gradients, workspace);
    }
  }

  Norm attention_norm_;
  Attention attention_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
};

INCONTEXT_NAMESPACE_END
