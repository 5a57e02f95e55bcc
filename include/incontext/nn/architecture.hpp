#pragma once
/// \file
/// Named architectures: bundles of policies. A new architecture is a struct with these members; inherit from one of
/// these and replace what differs.

#include "incontext/nn/activation.hpp"
#include "incontext/nn/attention.hpp"
#include "incontext/nn/encoding.hpp"
#include "incontext/nn/feed_forward.hpp"
#include "incontext/nn/mask.hpp"
#include "incontext/nn/norm.hpp"
#include "incontext/nn/position.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// GPT-2 (Radford et al. 2019) on interleaved prompts, as Garg et al. 2022 train it: pre-norm, causal softmax
/// attention, GELU, learned positions, a final norm.
struct Gpt2 {
  static constexpr const char* name = "gpt2";
  using Encoding = InterleavedTokens;
  using Position = LearnedPositions;
  using Norm = LayerNorm;
  using Attention = incontext::Attention<SoftmaxKernel, CausalMask>;
  using FeedForward = incontext::FeedForward<Gelu>;
};

/// Linear self-attention only, on concatenated prompts, as von Oswald et al. 2022 study it: no norm, no feed-forward,
/// no positions, every token sees the whole context.
struct LinearSelfAttention {
  static constexpr const char* name = "linear_self_attention";
  using Encoding = ConcatenatedTokens;
  using Position = NoPositions;
  using Norm = NoNorm;
  using Attention = incontext::Attention<LinearKernel, FullMask>;
  using FeedForward = NoFeedForward;
};

INCONTEXT_NAMESPACE_END
