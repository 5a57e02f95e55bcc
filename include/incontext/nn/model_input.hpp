#pragma once
/// \file
/// What a transformer reads: rows of features, rows of discrete tokens, or both in one sequence.

#include "incontext/core/matrix.hpp"
#include "incontext/nn/layer.hpp"
#include "incontext/nn/read_rows.hpp"

#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// `shape.sequences` sequences of `shape.tokens` rows. A row is either discrete, with `ids[row] >= 0` and an embedding
/// from the table, or continuous, with `ids[row] == continuous` and its features read in linearly.
template <class Scalar>
struct ModelInput {
  static constexpr int continuous = -1;
  SequenceShape shape;
  std::vector<int> ids;            // [rows]
  AlignedVector<Scalar> features;  // [rows, inputs], zero where the row is discrete
  Index inputs = 0;                // features of a continuous row
  /// Rows whose outputs are wanted, in ascending order; empty for all. Most of the last block, and a vocabulary's
  /// logits, are much work for a row that nobody looks at.
  std::vector<Index> read;

  /// Takes the shape and clears the content; allocates only when it grows.
  void reset(SequenceShape new_shape, Index input_count) {
    shape = new_shape;
    read.clear();
    inputs = input_count;
    ids.assign(static_cast<std::size_t>(shape.rows()), continuous);
    features.assign(static_cast<std::size_t>(shape.rows() * inputs), Scalar{});
  }
  /// Names the rows that are wanted as read.
  template <class Wanted>
  void read_where(const Wanted& wanted) {
    for (Index row = 0; row < shape.rows(); ++row) {
      if (wanted(row)) {
        read.push_back(row);
      }
    }
  }
  /// Of the outputs: one row for each that is read.
  [[nodiscard]] SequenceShape output_shape() const { return shape_of_read(shape, read); }
  [[nodiscard]] MatrixView<Scalar> feature_rows() { return {features.data(), shape.rows(), inputs}; }
  [[nodiscard]] MatrixView<const Scalar> feature_rows() const { return {features.data(), shape.rows(), inputs}; }
};

INCONTEXT_NAMESPACE_END
