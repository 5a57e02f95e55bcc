#pragma once
/// \file
/// A linear map of every input of a batch.

#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/products.hpp"

#include <algorithm>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Replaces every row x of `inputs`, [rows, dimension], in [first, last) by `matrix` x, with `matrix` [dimension,
/// dimension].
/// \throws ShapeError if the shapes do not fit
inline void multiply_inputs(RowMatrix<double>& inputs, Index first, Index last, const RowMatrix<double>& matrix) {
  require<ShapeError>(matrix.rows() == inputs.cols() && matrix.cols() == inputs.cols(), "multiply_inputs: a [",
                      matrix.rows(), ", ", matrix.cols(), "] matrix for inputs of dimension ", inputs.cols());
  // A single product of all rows might sum a row in an order that depends on how many rows there are; sampling has to
  // give a prompt the same bits in every batch.
  std::vector<double> input(static_cast<std::size_t>(inputs.cols()));
  for (Index row = first; row < last; ++row) {
    double* const values = inputs.data() + row * inputs.cols();
    std::copy_n(values, inputs.cols(), input.begin());
    for (Index coordinate = 0; coordinate < inputs.cols(); ++coordinate) {
      values[coordinate] = inner_product(matrix.data() + coordinate * inputs.cols(), input.data(), inputs.cols());
    }
  }
}

/// The same for all rows.
inline void multiply_inputs(RowMatrix<double>& inputs, const RowMatrix<double>& matrix) {
  multiply_inputs(inputs, 0, inputs.rows(), matrix);
}

INCONTEXT_NAMESPACE_END
