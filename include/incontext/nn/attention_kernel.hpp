#pragma once
/// \file
/// Attention kernels: how scores become attention weights, row by row, and back.

#include "incontext/core/config.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <cmath>

INCONTEXT_NAMESPACE_BEGIN

/// softmax(q k' / sqrt(head size)), as Vaswani et al. 2017. Derivation: docs/derivations/attention.md.
struct SoftmaxKernel {
  static double scale(Index head_size) { return 1.0 / std::sqrt(static_cast<double>(head_size)); }

  /// `scale` times the scores of the first visible(row) tokens of every row become weights, in place; the rest becomes
  /// zero.
  template <class Scalar, class Visible>
  static void forward(Scalar scale, const MatrixView<Scalar>& scores, const Visible& visible) {
    softmax_rows(scale, scores, visible);
  }

  /// d_scores = scale * weights * (d_weights - <d_weights, weights>), in place of d_weights, row by row.
  template <class Scalar, class Visible>
  static void backward(Scalar scale, const MatrixView<const Scalar>& weights, const MatrixView<Scalar>& d_weights,
                       const Visible& visible) {
    softmax_rows_backward(scale, weights, d_weights, visible);
  }
};

/// (q k') / visible tokens: linear attention without feature maps, as von Oswald et al. 2022 and Ahn et al. 2023 use
/// it, averaged over the context so that its size does not grow with the prompt.
struct LinearKernel {
  static double scale(Index) { return 1.0; }

  template <class Scalar, class Visible>
  static void forward(Scalar scale, const MatrixView<Scalar>& scores, const Visible& visible) {
    for (Index row = 0; row < scores.rows; ++row) {
      const Index count = visible(row);
      scale_row(count, scale / static_cast<Scalar>(static_cast<double>((std::max)(count, Index{1}))), scores.row(row));
      std::fill(scores.row(row) + count, scores.row(row) + scores.columns, Scalar{});
    }
  }
  template <class Scalar, class Visible>
  static void backward(Scalar scale, const MatrixView<const Scalar>&, const MatrixView<Scalar>& d_weights,
                       const Visible& visible) {
    forward(scale, d_weights, visible);
  }
};

INCONTEXT_NAMESPACE_END
