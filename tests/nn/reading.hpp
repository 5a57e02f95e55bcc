#pragma once
/// \file
/// What layers promise about rows that are read: to these and to whatever comes before, it makes no difference that the
/// others are left out.

#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/nn/layer.hpp"
#include "incontext/nn/read_rows.hpp"
#include "nn/complex_step.hpp"
#include "simd/island.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace incontext_tests {

/// How a layer that is run where it is read differs from the same that is run on all rows, when the gradient of the
/// output is zero but where it is read.
struct ReadingDifference {
  bool outputs = false;    ///< whether a number of the rows that are read differs
  double d_input = 0.0;    ///< of the gradient of the input, over what sums in another order may differ by
  double gradients = 0.0;  ///< likewise of the parameters' gradients
};

/// `forward(cache, workspace, weights, input, read)` runs the layer. Gradients of weights are sums over rows, that of
/// the input over queries, keys and values: in another order, these are within the number of terms * epsilon of the
/// norm of their terms, ten times that of the gradient at the most here.
template <class Scalar, class LayerType, class Forward>
ReadingDifference reading_difference(const LayerType& layer, const incontext::ParameterLayout& layout,
                                     incontext::Precision precision, incontext::SequenceShape shape,
                                     incontext::Index width, const std::vector<incontext::Index>& read,
                                     const Forward& forward) {
  using incontext::AlignedVector;
  using incontext::Index;
  using incontext::Key;
  using incontext::MatrixView;
  using View = MatrixView<const Scalar>;
  const AlignedVector<Scalar> parameters = normals<Scalar>(layout.size(), Key{1});
  const AlignedVector<Scalar> input = normals<Scalar>(shape.rows() * width, Key{2});
  const AlignedVector<Scalar> d_read = normals<Scalar>(static_cast<Index>(read.size()) * width, Key{3});
  AlignedVector<Scalar> d_all(static_cast<std::size_t>(shape.rows() * width));
  for (std::size_t place = 0; place < read.size(); ++place) {
    std::copy_n(d_read.data() + static_cast<Index>(place) * width, width, d_all.data() + read[place] * width);
  }
  struct Run {
    std::vector<Scalar> output, d_input, gradients;
  };
  const auto run = [&](incontext::ReadRows its_read, const AlignedVector<Scalar>& d_output) {
    const incontext::Weights<Scalar> weights(parameters.data(), precision);
    incontext::Workspace<Scalar> workspace;
    typename LayerType::template Cache<Scalar> cache;
    const View output = forward(cache, workspace, weights, View(input.data(), shape.rows(), width), its_read);
    AlignedVector<Scalar> gradients(static_cast<std::size_t>(layout.size()));
    const std::vector<Scalar> outputs = content(output);
    const View d_input =
        layer.backward(weights, shape, View(d_output.data(), output.rows, width), cache, gradients.data(), workspace);
    return Run{outputs, content(d_input), {gradients.begin(), gradients.end()}};
  };
  const Run whole = run({}, d_all);
  const Run part = run(read, d_read);
  ReadingDifference difference;
  for (std::size_t place = 0; place < read.size(); ++place) {
    const auto expected = whole.output.begin() + read[place] * width;
    difference.outputs = difference.outputs || !std::equal(expected, expected + width,
                                                           part.output.begin() + static_cast<Index>(place) * width);
  }
  const auto relative = [](const std::vector<Scalar>& one, const std::vector<Scalar>& other, Index terms) {
    double error = 0.0;
    double size = 0.0;
    for (std::size_t index = 0; index < other.size(); ++index) {
      error = std::hypot(error, static_cast<double>(one[index]) - static_cast<double>(other[index]));
      size = std::hypot(size, static_cast<double>(other[index]));
    }
    const double allowed =
        10.0 * static_cast<double>(terms) * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * size;
    return one.size() == other.size() && size > 0.0 ? error / allowed : INFINITY;
  };
  difference.outputs = difference.outputs || part.output.size() != d_read.size();
  difference.d_input = relative(part.d_input, whole.d_input, 3 * width);
  difference.gradients = relative(part.gradients, whole.gradients, shape.rows());
  return difference;
}

/// Rows of four sequences of `tokens`, at least three: every other one, the last, none, all.
inline std::vector<incontext::Index> some_rows(incontext::Index tokens) {
  std::vector<incontext::Index> rows;
  for (incontext::Index token = 0; token < tokens; token += 2) {
    rows.push_back(token);
  }
  rows.push_back(2 * tokens - 1);
  for (incontext::Index token = 0; token < tokens; ++token) {
    rows.push_back(3 * tokens + token);
  }
  return rows;
}

}  // namespace incontext_tests
