#pragma once

#include "incontext/task/prompts.hpp"

#include <cstring>

namespace incontext_tests {

/// Equal down to the bits, which tells a negative zero from a positive one.
inline bool same_bits(const incontext::RowMatrix<double>& left, const incontext::RowMatrix<double>& right) {
  return left.rows() == right.rows() && left.cols() == right.cols() &&
         (left.size() == 0 ||
          std::memcmp(left.data(), right.data(), static_cast<std::size_t>(left.size()) * sizeof(double)) == 0);
}

inline bool same_bits(const incontext::Prompts& left, const incontext::Prompts& right) {
  return left.count == right.count && left.points == right.points && left.dimension == right.dimension &&
         left.prefix == right.prefix && left.tokens == right.tokens && left.key == right.key &&
         same_bits(left.inputs, right.inputs) && same_bits(left.labels, right.labels) &&
         same_bits(left.targets, right.targets);
}

}  // namespace incontext_tests
