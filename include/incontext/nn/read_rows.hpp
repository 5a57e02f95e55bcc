#pragma once
/// \file
/// Rows that are read: those of a tall matrix whose outputs somebody looks at. Behind the last attention every row goes
/// its own way, so no other needs to go there.

#include "incontext/core/matrix.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/layer.hpp"
#include "incontext/simd/batch.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

INCONTEXT_NAMESPACE_BEGIN

/// Numbers of rows in ascending order; empty for all rows.
using ReadRows = std::span<const Index>;

/// The shape of what is read: one row for each.
[[nodiscard]] inline SequenceShape shape_of_read(SequenceShape shape, ReadRows read) {
  return read.empty() ? shape : SequenceShape{static_cast<Index>(read.size()), 1};
}

/// The rows that are read one below the other: copied, or `all` itself where none is left out by name.
template <class Scalar>
[[nodiscard]] inline MatrixView<const Scalar> gather(const MatrixView<const Scalar>& all, ReadRows read,
                                                     Workspace<Scalar>& workspace) {
  if (read.empty()) {
    return all;
  }
  const MatrixView<Scalar> some = workspace.take(static_cast<Index>(read.size()), all.columns);
  for (Index place = 0; place < some.rows; ++place) {
    copy_row(all.columns, all.row(read[static_cast<std::size_t>(place)]), some.row(place));
  }
  return some;
}

/// Its derivative: the rows back where they came from, between zeros.
template <class Scalar>
inline void scatter(const MatrixView<const Scalar>& some, ReadRows read, const MatrixView<Scalar>& all) {
  Index place = 0;
  for (Index row = 0; row < all.rows; ++row) {
    if (place < some.rows && read[static_cast<std::size_t>(place)] == row) {
      copy_row(all.columns, some.row(place++), all.row(row));
    } else {
      transform_row(all.columns, all.row(row), [] { return Register<Scalar>(Scalar{}); });
    }
  }
}

/// The tokens of one sequence that are read.
class ReadTokens {
 public:
  /// Those of the sequence whose first token is row `first_row`; `first` rows that are read lie in sequences before it.
  ReadTokens(ReadRows read, Index first_row, Index tokens, Index first)
      : read_(read.empty() ? read : read.subspan(static_cast<std::size_t>(first))),
        first_row_(first_row),
        first_(first),
        count_(read.empty() ? tokens : place_of(tokens)) {}

  /// The number of rows that are read in the sequences before.
  [[nodiscard]] Index first() const { return first_; }
  [[nodiscard]] Index count() const { return count_; }
  /// The token at a place among them.
  [[nodiscard]] Index token(Index place) const {
    return read_.empty() ? place : read_[static_cast<std::size_t>(place)] - first_row_;
  }
  /// The place of the first that is `token` or later; `count` if there is none.
  [[nodiscard]] Index place_from(Index token) const { return read_.empty() ? token : place_of(token); }

 private:
  [[nodiscard]] Index place_of(Index token) const {
    return std::lower_bound(read_.begin(), read_.end(), first_row_ + token) - read_.begin();
  }

  ReadRows read_;  // from the first of the sequence on
  Index first_row_;
  Index first_;
  Index count_;
};

INCONTEXT_NAMESPACE_END
