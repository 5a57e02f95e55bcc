#pragma once
/// \file
/// A linear map of every input of a batch.

#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// Replaces every row x of `inputs`, [rows, dimension], by `matrix` x, with `matrix` [dimension, dimension].
/// \throws ShapeError if the shapes do not fit
inline void multiply_inputs(RowMatrix<double>& inputs, const RowMatrix<double>& matrix) {
  require<ShapeError>(matrix.rows() == inputs.cols() && matrix.cols() == inputs.cols(), "multiply_inputs: a [",
                      matrix.rows(), ", ", matrix.cols(), "] matrix for inputs of dimension ", inputs.cols());
  // A single product of all rows would sum a row in an order that depends on how many rows there are; sampling has to
  // give a prompt the same bits in every batch.
  Vector input(inputs.cols());
  Vector product(inputs.cols());
  for (Index row = 0; row < inputs.rows(); ++row) {
    input = inputs.row(row).transpose();
    product.noalias() = matrix * input;
    inputs.row(row) = product.transpose();
  }
}

INCONTEXT_NAMESPACE_END
