#pragma once
/// \file
/// Feed-forward policies of a block: two affine layers with an activation between them, or none.

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
    MatrixView<const Scalar> before;  // [rows, hidden], the activation's input
  };

  FeedForward() = default;
  FeedForward(ParameterLayout& layout, const std::string& name, Index width, Index hidden)
      : expand_(layout, name + ".c_fc", width, hidden), contract_(layout, name + ".c_proj", hidden, width) {}

  [[nodiscard]] const Linear& expand() const { return expand_; }
  [[nodiscard]] const Linear& contract() const { return contract_; }

  template <class Scalar>
  MatrixView<Scalar> forward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> input,
                             Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    cache.before = expand_.forward(parameters, shape, input, cache.expand, workspace);
    const MatrixView<Scalar> after = workspace.take(shape.rows(), expand_.outputs());
    transform_row(
        after.rows * after.columns, after.data, [](const auto& x) { return Activation::value(x); }, cache.before.data);
    return contract_.forward(parameters, shape, MatrixView<const Scalar>(after), cache.contract, workspace);
  }

  template <class Scalar>
  MatrixView<Scalar> backward(const Scalar* parameters, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_after =
        contract_.backward(parameters, shape, d_output, cache.contract, gradients, workspace);
    transform_row(
        d_after.rows * d_after.columns, d_after.data,
        [](const auto& d, const auto& x) { return d * Activation::derivative(x); },
        static_cast<const Scalar*>(d_after.data), cache.before.data);
    return expand_.backward(parameters, shape, MatrixView<const Scalar>(d_after), cache.expand, gradients, workspace);
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
