#pragma once
// Products of low precision from plain matrices.

#include "incontext/simd/low_precision_product.hpp"

namespace incontext_tests {

// C = start + A B.
inline void multiply(incontext::MatrixView<const float> a, const incontext::PackedTiles& b,
                     incontext::MatrixView<float> c, const incontext::ProductStart<float>& start,
                     incontext::Workspace<float>& workspace, const incontext::TileFinish<float>& finish = {}) {
  using incontext::Precision;
  const auto mark = workspace.mark();
  const Precision precision = b.low == nullptr ? Precision::bf16 : Precision::bf16x3;
  multiply(pack_left_tiles(precision, a, incontext::Orientation::as_stored, workspace), b, c, start, finish);
  workspace.release(mark);
}

// C = start + A^T B.
inline void multiply_transposed_left(incontext::Precision precision, incontext::MatrixView<const float> a,
                                     incontext::MatrixView<const float> b, incontext::MatrixView<float> c,
                                     const incontext::ProductStart<float>& start,
                                     incontext::Workspace<float>& workspace) {
  const auto mark = workspace.mark();
  float* const memory = workspace.take(1, incontext::PackedTiles::size(precision, b.rows, b.columns)).data;
  multiply(pack_left_tiles(precision, a, incontext::Orientation::transposed, workspace),
           pack_tiles(precision, b, memory), c, start);
  workspace.release(mark);
}

}  // namespace incontext_tests
