#pragma once
/// \file
/// Feed-forward policies of a block: two affine layers with an activation between them, or none.

#include "incontext/nn/activation.hpp"
#include "incontext/nn/linear.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// y = activation(x W1 + b1) W2 + b2, on [rows, width] with `hidden` units between. Derivation:
/// docs/derivations/feed_forward.md.
template <class Activation>
class FeedForward {
 public:
  static constexpr bool is_present = true;

  template <class Scalar>
  struct Cache {
    Linear::Cache<Scalar> expand;
    Linear::Cache<Scalar> contract;
    MatrixView<Scalar> after;       // [rows, hidden], the activation's output
    MatrixView<Scalar> derivative;  // [rows, hidden], its derivative
  };

  FeedForward() = default;
  FeedForward(ParameterLayout& layout, const std::string& name, Index width, Index hidden)
      : expand_(layout, name + ".c_fc", width, hidden), contract_(layout, name + ".c_proj", hidden, width) {}

  [[nodiscard]] const Linear& expand() const { return expand_; }
  [[nodiscard]] const Linear& contract() const { return contract_; }

  /// The weight matrices of the layer.
  template <class Visitor>
  void visit_matrices(Visitor&& visitor) const {
    visitor(expand_.weight_matrix());
    visitor(contract_.weight_matrix());
  }

  template <class Scalar>
  MatrixView<Scalar> forward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    return forward_onto({}, weights, shape, input, cache, workspace);
  }

  /// The same plus an addend of the output's shape: the residual stream.
  template <class Scalar>
  MatrixView<Scalar> forward_onto(std::type_identity_t<MatrixView<const Scalar>> addend, WeightsOf<Scalar> weights,
                                  SequenceShape shape, MatrixView<const Scalar> input, Cache<Scalar>& cache,
                                  Workspace<Scalar>& workspace) const {
    cache.after = workspace.take(shape.rows(), expand_.outputs());
    // The derivative comes from the same exponential, and takes the place of what the activation was applied to.
    const auto activate = [&cache](MatrixView<Scalar> before, Index row, Index column, Index rows, Index columns) {
      for (Index within = row; within < row + rows; ++within) {
        Scalar* const here = before.row(within) + column;
        Scalar* const after = cache.after.row(within) + column;
        for_each_register<Scalar>(columns, [&](const auto& lanes, Index index) {
          const auto [value, derivative] = value_and_derivative<Activation>(lanes.load(here + index));
          lanes.store(value, after + index);
          lanes.store(derivative, here + index);
        });
      }
    };
    cache.derivative = expand_.forward_onto({}, weights, shape, input, cache.expand, workspace, activate);
    return contract_.forward_onto(addend, weights, shape, MatrixView<const Scalar>(cache.after), cache.contract,
                                  workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const auto differentiate = [&cache](MatrixView<Scalar> d_after, Index row, Index column, Index rows,
                                        Index columns) {
      for (Index within = row; within < row + rows; ++within) {
        Scalar* const d = d_after.row(within) + column;
        transform_row(
            columns, d, [](const auto& left, const auto& right) { return left * right; }, static_cast<const Scalar*>(d),
            static_cast<const Scalar*>(cache.derivative.row(within) + column));
      }
    };
    const MatrixView<Scalar> d_before =
        contract_.backward_then(weights, shape, d_output, cache.contract, gradients, workspace, differentiate);
    return expand_.backward(weights, shape, MatrixView<const Scalar>(d_before), cache.expand, gradients, workspace);
  }

 private:
  Linear expand_;
  Linear contract_;
};

/// A block without a feed-forward part: attention only.
class NoFeedForward {
 public:
  static constexpr bool is_present = false;
  template <class Scalar>
  struct Cache {};
  NoFeedForward() = default;
  NoFeedForward(ParameterLayout&, const std::string&, Index, Index) {}
};

INCONTEXT_NAMESPACE_END
