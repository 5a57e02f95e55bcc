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
    MatrixView<const Scalar> before;  // [rows, hidden], what the activation is applied to
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
    Workspace<Scalar>& temporary = workspace.temporary();
    const auto mark = temporary.mark();
    const MatrixView<Scalar> after = temporary.take(shape.rows(), expand_.outputs());
    const auto activate = [&](MatrixView<Scalar> before, Index row, Index column) {
      for (Index within = 0; within < before.rows; ++within) {
        transform_row(
            before.columns, after.row(row + within) + column, [](const auto& x) { return Activation::value(x); },
            static_cast<const Scalar*>(before.row(within)));
      }
    };
    cache.before = expand_.forward_onto({}, weights, shape, input, cache.expand, workspace, activate);
    const MatrixView<Scalar> output =
        contract_.forward_onto(addend, weights, shape, MatrixView<const Scalar>(after), cache.contract, workspace);
    temporary.release(mark);
    return output;
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.expand.input, weights, shape, d_output, cache, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept. The activation is computed again, together with its
  /// derivative, on every tile of the gradient that has to be multiplied by it.
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> after = workspace.take(shape.rows(), expand_.outputs());
    const auto differentiate = [&](MatrixView<Scalar> d_after, Index row, Index column) {
      for (Index within = 0; within < d_after.rows; ++within) {
        const Scalar* const x = cache.before.row(row + within) + column;
        Scalar* const d = d_after.row(within);
        Scalar* const again = after.row(row + within) + column;
        for_each_register<Scalar>(d_after.columns, [&](const auto& lanes, Index index) {
          const auto [value, derivative] = value_and_derivative<Activation>(lanes.load(x + index));
          lanes.store(value, again + index);
          lanes.store(lanes.load(d + index) * derivative, d + index);
        });
      }
    };
    const MatrixView<Scalar> d_before = contract_.backward_from(MatrixView<const Scalar>(after), weights, shape,
                                                                d_output, gradients, workspace, differentiate);
    return expand_.backward_from(input, weights, shape, MatrixView<const Scalar>(d_before), gradients, workspace);
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
