#pragma once
/// \file
/// The first layer: a linear read-in for continuous tokens, a table for discrete ones, and positions.

#include "incontext/nn/model_input.hpp"
#include "incontext/simd/matrix_product.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// features or ids -> residual stream, [rows, width]. Derivation: docs/derivations/embedding.md.
///
/// Parameters, by GPT-2's names and PyTorch's shapes: `transformer.wte.weight` [vocabulary, width],
/// `transformer.wpe.weight` [positions, width], `read_in.weight` [width, inputs], `read_in.bias` [width].
template <class Position>
class Embedding {
 public:
  Embedding() = default;
  /// Without inputs there is no read-in; without a vocabulary there is no table.
  Embedding(ParameterLayout& layout, Index inputs, Index vocabulary, Index positions, Index width)
      : inputs_(inputs), vocabulary_(vocabulary), positions_(positions), width_(width) {
    if (vocabulary > 0) {
      table_ = layout.declare("transformer.wte.weight", {vocabulary, width});
    }
    if constexpr (Position::is_present) {
      position_ = layout.declare("transformer.wpe.weight", {positions, width});
    }
    if (inputs > 0) {
      weight_ = layout.declare("read_in.weight", {width, inputs});
      bias_ = layout.declare("read_in.bias", {width});
    }
  }

  /// \throws ShapeError if a row, a sequence or a token does not fit the tables
  template <class Scalar>
  void check(const ModelInput<Scalar>& input) const {
    require<ShapeError>(input.inputs == inputs_, "the model reads ", inputs_, " features a token, the input has ",
                        input.inputs);
    if constexpr (Position::is_present) {
      require<ShapeError>(input.shape.tokens <= positions_, "a sequence of ", input.shape.tokens,
                          " tokens, but the model has ", positions_, " positions");
    }
    int smallest = 0;
    int largest = ModelInput<Scalar>::continuous;
    for (const int id : input.ids) {
      smallest = (std::min)(smallest, id);
      largest = (std::max)(largest, id);
    }
    if (smallest >= (inputs_ > 0 ? ModelInput<Scalar>::continuous : 0) && largest < vocabulary_) {
      return;
    }
    for (const int id : input.ids) {
      require<ShapeError>(id == ModelInput<Scalar>::continuous || (id >= 0 && id < vocabulary_), "token ", id,
                          " is outside the vocabulary of ", vocabulary_);
      require<ShapeError>(id >= 0 || inputs_ > 0, "a continuous token, but the model reads discrete tokens only");
    }
  }

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, const ModelInput<Scalar>& input,
                             Workspace<Scalar>& workspace) const {
    check(input);
    const MatrixView<Scalar> output = workspace.take(input.shape.rows(), width_);
    const auto mark = workspace.mark();
    if (inputs_ > 0) {
      const auto panels =
          pack(weights.matrix(weight_, width_), workspace.take(1, PackedPanels<Scalar>::size(inputs_, width_)).data,
               Orientation::transposed);
      multiply<Scalar>(input.feature_rows(), panels, output);
    }
    workspace.release(mark);
    for (Index row = 0; row < output.rows; ++row) {
      const int id = input.ids[static_cast<std::size_t>(row)];
      Scalar* const values = output.row(row);
      if (id >= 0) {
        copy_row(width_, weights.vector(table_) + id * width_, values);
      }
      const Scalar* const bias = id >= 0 ? nullptr : weights.vector(bias_);
      const Scalar* const position =
          Position::is_present ? weights.vector(position_) + (row % input.shape.tokens) * width_ : nullptr;
      for_each_register<Scalar>(width_, [&](const auto& lanes, Index column) {
        auto value = lanes.load(values + column);
        if (bias != nullptr) {
          value += lanes.load(bias + column);
        }
        if constexpr (Position::is_present) {
          value += lanes.load(position + column);
        }
        lanes.store(value, values + column);
      });
    }
    return output;
  }

  /// Adds the gradients of the tables, the read-in and its bias. The input itself takes no gradient.
  template <class Scalar>
  void backward(const ModelInput<Scalar>& input, MatrixView<const Scalar> d_output, Scalar* gradients,
                Workspace<Scalar>& workspace) const {
    if (inputs_ > 0) {
      // As [inputs, width] first: the long side runs along the vectors. Discrete rows have zero features.
      const MatrixView<Scalar> transposed = workspace.take(inputs_, width_);
      multiply_transposed_left<Scalar>(input.feature_rows(), d_output, transposed, {}, workspace);
      const MatrixView<Scalar> target = matrix_of(gradients, weight_, width_);
      for (Index row = 0; row < width_; ++row) {
        for (Index column = 0; column < inputs_; ++column) {
          target(row, column) += transposed(column, row);
        }
      }
    }
    if (vocabulary_ == 0) {
      add_column_sums<Scalar>(d_output, vector_of(gradients, bias_));
    } else {
      for (Index row = 0; row < d_output.rows; ++row) {
        const int id = input.ids[static_cast<std::size_t>(row)];
        add_row(width_, d_output.row(row),
                id >= 0 ? vector_of(gradients, table_) + id * width_ : vector_of(gradients, bias_));
      }
    }
    if constexpr (Position::is_present) {
      // The rows of one place, of all sequences.
      const Index tokens = input.shape.tokens;
      for (Index token = 0; token < tokens; ++token) {
        add_column_sums<Scalar>({d_output.row(token), input.shape.sequences, width_, tokens * d_output.stride},
                                vector_of(gradients, position_) + token * width_);
      }
    }
  }

  [[nodiscard]] Index inputs() const { return inputs_; }
  [[nodiscard]] ParameterId read_in_weight() const { return weight_; }
  [[nodiscard]] ParameterId read_in_bias() const { return bias_; }
  [[nodiscard]] ParameterId table() const { return table_; }
  [[nodiscard]] ParameterId position() const { return position_; }

 private:
  Index inputs_ = 0;
  Index vocabulary_ = 0;
  Index positions_ = 0;
  Index width_ = 0;
  ParameterId table_;
  ParameterId position_;
  ParameterId weight_;
  ParameterId bias_;
};

INCONTEXT_NAMESPACE_END
