#pragma once
/// \file
/// Scratch memory that is allocated once and handed out again every step, so that a warm step allocates nothing.

#include "incontext/core/config.hpp"
#include "incontext/core/matrix.hpp"

#include <algorithm>
#include <memory>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Hands out views of cache-line-aligned memory until `reset`, and from `temporary()` views for the moment. Views stay
/// valid until then: growing adds a chunk and moves nothing. After the first pass over the same shapes it allocates no
/// more; after `reserve` not even in the first. Where shapes change without it, chunks that have become too small stay.
template <class Scalar>
class Workspace {
 public:
  /// Takes every view back and has room for views of `scalars` in all, `room_for` of each: those then lie side by side,
  /// and nothing is allocated for them. What is held already is kept if it is as large, and else given back first.
  void reserve(Index scalars) {
    if (chunks_.empty() || static_cast<Index>(chunks_.front().size()) < scalars) {
      chunks_.clear();
      chunks_.emplace_back(static_cast<std::size_t>(scalars));
    }
    reset();
  }
  /// The scalars that a [rows, columns] matrix needs: whole cache lines, or several.
  [[nodiscard]] static constexpr Index room_for(Index rows, Index columns) {
    return (rows * stride_of(rows, columns) + granule - 1) / granule * granule;
  }

  /// An uninitialised [rows, columns] matrix. Long rows of a size that would put many of them into the same sets of a
  /// cache lie a little further apart.
  [[nodiscard]] MatrixView<Scalar> take(Index rows, Index columns) {
    const Index wanted = room_for(rows, columns);
    while (current_ < chunks_.size() && used_ + wanted > static_cast<Index>(chunks_[current_].size())) {
      ++current_;
      used_ = 0;
    }
    if (current_ == chunks_.size()) {
      chunks_.emplace_back(static_cast<std::size_t>((std::max)(wanted, smallest_chunk)));
      used_ = 0;
    }
    Scalar* first = chunks_[current_].data() + used_;
    used_ += wanted;
    return {first, rows, columns, stride_of(rows, columns)};
  }

  /// A [rows, columns] matrix of zeros.
  [[nodiscard]] MatrixView<Scalar> take_zeros(Index rows, Index columns) {
    const MatrixView<Scalar> view = take(rows, columns);
    std::fill(view.data, view.data + rows * view.stride, Scalar{});
    return view;
  }

  /// A place to `release` to.
  struct Mark {
    std::size_t chunk = 0;
    Index used = 0;
  };
  [[nodiscard]] Mark mark() const { return {current_, used_}; }
  /// Takes back every view handed out since the mark.
  void release(Mark mark) { current_ = mark.chunk, used_ = mark.used; }

  /// Takes every view back; the memory is kept.
  void reset() {
    current_ = 0, used_ = 0;
    if (temporary_) {
      temporary_->reset();
    }
  }

  /// Memory for what is not needed for long. Whoever takes from it releases it, so that the same memory serves all
  /// layers and stays in cache, while what backward will read is laid out beside it once.
  [[nodiscard]] Workspace& temporary() {
    if (!temporary_) {
      temporary_ = std::make_unique<Workspace>();
    }
    return *temporary_;
  }

  /// The memory held, in bytes.
  [[nodiscard]] Index bytes() const {
    Index total = 0;
    for (const auto& chunk : chunks_) {
      total += static_cast<Index>(chunk.size() * sizeof(Scalar));
    }
    return total + (temporary_ ? temporary_->bytes() : 0);
  }

  Workspace() = default;
  /// A copy holds as much memory, not what is in it: views are of the other's.
  Workspace(const Workspace& other) { *this = other; }
  Workspace& operator=(const Workspace& other) {
    if (this == &other) {
      return *this;
    }
    chunks_.clear();
    for (const auto& chunk : other.chunks_) {
      chunks_.emplace_back(chunk.size());
    }
    current_ = other.current_, used_ = other.used_;
    temporary_ = other.temporary_ ? std::make_unique<Workspace>(*other.temporary_) : nullptr;
    return *this;
  }

 private:
  static constexpr Index stride_of(Index rows, Index columns) {
    return rows > 1 && columns > 0 && columns % crowding == 0 ? columns + granule : columns;
  }

  static constexpr Index granule = 16;
  static constexpr Index crowding = 128;
  static constexpr Index smallest_chunk = Index{1} << 16;
  std::vector<AlignedVector<Scalar>> chunks_;
  std::size_t current_ = 0;
  Index used_ = 0;
  std::unique_ptr<Workspace> temporary_;
};

INCONTEXT_NAMESPACE_END
