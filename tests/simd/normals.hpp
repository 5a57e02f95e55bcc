#pragma once
/// \file
/// Numbers for kernels, in plain vectors: nothing may depend on how these are aligned.

#include "incontext/core/key.hpp"

#include <vector>

namespace incontext_tests {

/// Independent normals with mean 0 and standard deviation `scale`.
template <class Scalar>
std::vector<Scalar> normals(incontext::Index count, incontext::Key key, double scale = 1.0) {
  std::vector<Scalar> values(static_cast<std::size_t>(count));
  incontext::Stream(key).fill_normal(values.begin(), values.end(), scale);
  return values;
}

}  // namespace incontext_tests
