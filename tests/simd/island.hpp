#pragma once
/// \file
/// Matrices that show what a kernel reads or writes beside them, and their contents as plain vectors.

#include "incontext/core/key.hpp"
#include "incontext/core/matrix.hpp"

#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace incontext_tests {

/// A matrix in the middle of memory that is full of NaN: reading beside it spoils the result, writing beside it shows.
template <class Scalar>
class Island {
 public:
  using Index = incontext::Index;

  Island(Index rows, Index columns, Index gap, incontext::Key key)
      : rows_(rows),
        columns_(columns),
        stride_(columns + gap),
        memory_(static_cast<std::size_t>((rows + 2) * stride_ + 2 * gap), nan()) {
    incontext::Stream stream(key);
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < columns; ++column) {
        view()(row, column) = draw(stream);
      }
    }
  }

  [[nodiscard]] incontext::MatrixView<Scalar> view() {
    return {memory_.data() + stride_ + (stride_ - columns_), rows_, columns_, stride_};
  }

  [[nodiscard]] bool surroundings_untouched() {
    const Index begin = stride_ + (stride_ - columns_);
    const Scalar untouched = nan();
    for (Index index = 0; index < static_cast<Index>(memory_.size()); ++index) {
      const Index inside = index - begin;
      const bool belongs = inside >= 0 && inside / stride_ < rows_ && inside % stride_ < columns_;
      if (!belongs && std::memcmp(&memory_[static_cast<std::size_t>(index)], &untouched, sizeof(Scalar)) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  static Scalar nan() { return Scalar(std::numeric_limits<double>::quiet_NaN()); }
  static Scalar draw(incontext::Stream& stream) {
    if constexpr (std::is_floating_point_v<Scalar>) {
      return static_cast<Scalar>(stream.normal());
    } else {
      const double real = stream.normal();
      return {real, stream.normal()};
    }
  }

  Index rows_;
  Index columns_;
  Index stride_;
  std::vector<Scalar> memory_;
};

template <class Scalar>
std::vector<Scalar> content(incontext::MatrixView<const Scalar> view) {
  std::vector<Scalar> values;
  for (incontext::Index row = 0; row < view.rows; ++row) {
    values.insert(values.end(), view.row(row), view.row(row) + view.columns);
  }
  return values;
}

template <class Scalar, class Allocator>
bool same_bits(const std::vector<Scalar, Allocator>& left, const std::vector<Scalar, Allocator>& right) {
  return left.size() == right.size() &&
         (left.empty() || std::memcmp(left.data(), right.data(), left.size() * sizeof(Scalar)) == 0);
}

}  // namespace incontext_tests
