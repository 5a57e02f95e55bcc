#pragma once
/// \file
/// Attention kernels: how a row of scores becomes a row of attention weights, and back.

#include "incontext/core/config.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// softmax(q k' / sqrt(head size)), as Vaswani et al. 2017. Derivation: docs/derivations/attention.md.
struct SoftmaxKernel {
  static double scale(Index head_size) { return 1.0 / std::sqrt(static_cast<double>(head_size)); }

  /// `scale` times the scores of the first `visible` tokens become weights, in place; the rest of `length` becomes
  /// zero.
  template <class Scalar>
  static void forward(Scalar scale, Index visible, Index length, Scalar* scores) {
    softmax_row(scale, visible, length, scores);
  }

  /// d_scores = scale * weights * (d_weights - <d_weights, weights>), in place of d_weights.
  template <class Scalar>
  static void backward(Scalar scale, Index visible, Index length, const Scalar* weights, Scalar* d_weights) {
    const Scalar inner = sum_row(
        visible, [](const auto& d, const auto& weight) { return d * weight; }, static_cast<const Scalar*>(d_weights),
        weights);
    transform_row(
        visible, d_weights,
        [inner, scale](const auto& d, const auto& weight) { return (scale * weight) * (d - inner); },
        static_cast<const Scalar*>(d_weights), weights);
    std::fill(d_weights + visible, d_weights + length, Scalar{});
  }
};

/// (q k') / visible tokens: linear attention without feature maps, as von Oswald et al. 2022 and Ahn et al. 2023 use
/// it, averaged over the context so that its size does not grow with the prompt.
struct LinearKernel {
  static double scale(Index) { return 1.0; }

  template <class Scalar>
  static void forward(Scalar scale, Index visible, Index length, Scalar* scores) {
    scale_row(visible, scale / static_cast<Scalar>(static_cast<double>((std::max)(visible, Index{1}))), scores);
    std::fill(scores + visible, scores + length, Scalar{});
  }
  template <class Scalar>
  static void backward(Scalar scale, Index visible, Index length, const Scalar*, Scalar* d_weights) {
    forward(scale, visible, length, d_weights);
  }
};

INCONTEXT_NAMESPACE_END
