#pragma once
/// \file
/// A pre-norm transformer block: x + attention(norm(x)), then x + feed_forward(norm(x)).

#include "incontext/nn/layer.hpp"
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

  template <class Scalar>
  MatrixView<Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    const auto normed = attention_norm_.forward(parameters, shape, input, cache.attention_norm, workspace);
    const MatrixView<Scalar> middle = attention_.forward(parameters, shape, normed, cache.attention, workspace);
    add_matrix<Scalar>(input, middle);
    if constexpr (FeedForward::is_present) {
      const MatrixView<const Scalar> residual = middle;
      const auto normed_again =
          feed_forward_norm_.forward(parameters, shape, residual, cache.feed_forward_norm, workspace);
      const MatrixView<Scalar> output =
          feed_forward_.forward(parameters, shape, normed_again, cache.feed_forward, workspace);
      add_matrix<Scalar>(residual, output);
      return output;
    } else {
      return middle;
    }
  }

  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    MatrixView<const Scalar> d_middle = d_output;
    if constexpr (FeedForward::is_present) {
      const MatrixView<const Scalar> d_normed =
          feed_forward_.backward(parameters, shape, d_output, cache.feed_forward, gradients, workspace);
      const MatrixView<Scalar> d_residual =
          feed_forward_norm_.backward(parameters, shape, d_normed, cache.feed_forward_norm, gradients, workspace);
      add_matrix<Scalar>(d_output, d_residual);
      d_middle = d_residual;
    }
    const MatrixView<const Scalar> d_normed =
        attention_.backward(parameters, shape, d_middle, cache.attention, gradients, workspace);
    const MatrixView<Scalar> d_input =
        attention_norm_.backward(parameters, shape, d_normed, cache.attention_norm, gradients, workspace);
    add_matrix<Scalar>(d_middle, d_input);
    return d_input;
  }

 private:
  Norm attention_norm_;
  Attention attention_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
};

INCONTEXT_NAMESPACE_END
