#pragma once
/// \file
/// A pre-norm transformer block: x + attention(norm(x)), then x + feed_forward(norm(x)).

#include "incontext/nn/layer.hpp"
#include "incontext/nn/norm.hpp"
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

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    const auto mark = workspace.temporary().mark();
    const auto normed = attention_norm_.forward(weights, shape, input, cache.attention_norm, workspace);
    MatrixView<Scalar> output = attention_.forward_onto(input, weights, shape, normed, cache.attention, workspace);
    if constexpr (FeedForward::is_present) {
      const MatrixView<const Scalar> middle = output;
      const auto normed_again = feed_forward_norm_.forward(weights, shape, middle, cache.feed_forward_norm, workspace);
      output = feed_forward_.forward_onto(middle, weights, shape, normed_again, cache.feed_forward, workspace);
    }
    workspace.temporary().release(mark);
    return output;
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    MatrixView<const Scalar> d_middle = d_output;
    if constexpr (FeedForward::is_present) {
      d_middle = backward_part(feed_forward_, feed_forward_norm_, weights, shape, d_output, cache.feed_forward,
                               cache.feed_forward_norm, gradients, workspace);
    }
    return backward_part(attention_, attention_norm_, weights, shape, d_middle, cache.attention, cache.attention_norm,
                         gradients, workspace);
  }

 private:
  // The backward of x + layer(norm(x)). What went into the layer was temporary where the norm can make it again.
  template <class Scalar, class Layer, class LayerCache, class NormCache>
  static MatrixView<Scalar> backward_part(const Layer& layer, const Norm& norm, const Weights<Scalar>& weights,
                                          SequenceShape shape, MatrixView<const Scalar> d_output,
                                          const LayerCache& layer_cache, const NormCache& norm_cache, Scalar* gradients,
                                          Workspace<Scalar>& workspace) {
    MatrixView<const Scalar> d_normed;
    if constexpr (requires { norm.reapply(weights, norm_cache, workspace); }) {
      const MatrixView<const Scalar> normed = norm.reapply(weights, norm_cache, workspace);
      d_normed = layer.backward_from(normed, weights, shape, d_output, layer_cache, gradients, workspace);
    } else {
      d_normed = layer.backward(weights, shape, d_output, layer_cache, gradients, workspace);
    }
    return norm_backward_onto(norm, d_output, weights, shape, d_normed, norm_cache, gradients, workspace);
  }

  Norm attention_norm_;
  Attention attention_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
};

INCONTEXT_NAMESPACE_END
