#pragma once
/// \file
/// Feed-forward policies of a block: two affine layers with an activation between them, or none.

#include "incontext/nn/activation.hpp"
#include "incontext/nn/linear.hpp"
#include "incontext/simd/registers.hpp"

#include <string>

INCONTEXT_NAMESPACE_BEGIN

/// Hidden units that go through a feed-forward part together: few, so that what they are before and after the
/// activation, and its gradient, have room in a second-level cache; and whole panels of every precision. A product that
/// is split in terms adds one term after the other over all units, so bf16x3 has them go together.
[[nodiscard]] constexpr Index units_at_once(Precision precision, Index hidden) {
  return precision == Precision::bf16x3 ? hidden : (std::min)(Index{128}, hidden);
}

/// Whether a feed-forward part keeps the activation's value and its derivative for the backward pass, and not what it
/// was applied to: twice the memory, and no second exponential. It pays while a layer's are near, some 2 KiB a row.
[[nodiscard]] constexpr bool keeps_activation(Index hidden) { return hidden <= 256; }

/// y = activation(x W1 + b1) W2 + b2, on [rows, width] with `hidden` units between. Derivation:
/// docs/derivations/feed_forward.md.
template <class Activation>
class FeedForward {
 public:
  static constexpr bool is_present = true;

  template <class Scalar>
  struct Cache {
    Linear::Cache<Scalar> expand;
    MatrixView<const Scalar> after;   // [rows, hidden], the activation, where it is kept
    MatrixView<const Scalar> before;  // [rows, hidden], what it is applied to; where it is kept, its derivative there
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
    const bool is_kept = keeps_activation(expand_.outputs());
    const MatrixView<Scalar> before = workspace.take(shape.rows(), expand_.outputs());
    const MatrixView<Scalar> kept = is_kept ? workspace.take(shape.rows(), expand_.outputs()) : MatrixView<Scalar>{};
    const MatrixView<Scalar> output = workspace.take(shape.rows(), contract_.outputs());
    cache.expand.input = input;
    cache.after = kept;
    cache.before = before;
    const Portions<Scalar> portions(*this, Orientation::as_stored, weights, workspace);
    Workspace<Scalar>& temporary = workspace.temporary();
    const MatrixView<Scalar> room = is_kept ? MatrixView<Scalar>{} : temporary.take(shape.rows(), portions.most);
    const LeftOperand<Scalar> x = left_operand(weights.precision(), input, Orientation::as_stored, temporary);
    MatrixView<const Scalar> start = addend;
    for (Index first = 0; first < expand_.outputs(); first += portions.most) {
      const Index units = (std::min)(portions.most, expand_.outputs() - first);
      const MatrixView<Scalar> after =
          is_kept ? kept.block(0, first, shape.rows(), units) : room.block(0, 0, shape.rows(), units);
      const auto activate_tile = [&](const MatrixView<Scalar>& tile, Index row, Index column) {
        activate<Scalar>(is_kept, tile, after.block(row, column, tile.rows, tile.columns));
      };
      multiply<Scalar>(x, portions.expand.part_of_columns(first, units), before.block(0, first, shape.rows(), units),
                       {weights.vector(expand_.bias()) + first, {}}, workspace, {activate_tile});
      multiply<Scalar>(MatrixView<const Scalar>(after), portions.contract.part_of_inner(first, units), output,
                       {first == 0 ? weights.vector(contract_.bias()) : nullptr, start}, workspace);
      start = output;
    }
    return output;
  }

  template <class Scalar>
  MatrixView<Scalar> backward(WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> d_output,
                              const Cache<Scalar>& cache, Scalar* gradients, Workspace<Scalar>& workspace) const {
    return backward_from(cache.expand.input, weights, shape, d_output, cache, gradients, workspace);
  }

  /// The same with the input handed in: it need not have been kept. Where the activation was not kept, it is computed
  /// again, together with its derivative, on every tile of the gradient that has to be multiplied by it.
  template <class Scalar>
  MatrixView<Scalar> backward_from(std::type_identity_t<MatrixView<const Scalar>> input, WeightsOf<Scalar> weights,
                                   SequenceShape shape, MatrixView<const Scalar> d_output, const Cache<Scalar>& cache,
                                   Scalar* gradients, Workspace<Scalar>& workspace) const {
    const MatrixView<Scalar> d_input = workspace.take(shape.rows(), input.columns);
    const Portions<Scalar> portions(*this, Orientation::transposed, weights, workspace);
    const bool is_kept = cache.after.data != nullptr;
    const MatrixView<Scalar> room = is_kept ? MatrixView<Scalar>{} : workspace.take(shape.rows(), portions.most);
    const MatrixView<Scalar> d_room = workspace.take(shape.rows(), portions.most);
    const auto left = [&](MatrixView<const Scalar> matrix, Orientation orientation) {
      return left_operand(weights.precision(), matrix, orientation, workspace);
    };
    const auto right = [&](MatrixView<const Scalar> matrix) {
      return right_operand(weights.precision(), matrix, Orientation::as_stored, workspace);
    };
    const LeftOperand<Scalar> x_transposed = left(input, Orientation::transposed);
    const LeftOperand<Scalar> dy_left = left(d_output, Orientation::as_stored);
    const PackedOperand<Scalar> dy_right = right(d_output);
    const MatrixView<Scalar> d_w1 = matrix_of(gradients, expand_.weight(), input.columns);
    const MatrixView<Scalar> d_w2 = matrix_of(gradients, contract_.weight(), expand_.outputs());
    add_column_sums<Scalar>(d_output, vector_of(gradients, contract_.bias()));
    MatrixView<const Scalar> start;
    for (Index first = 0; first < expand_.outputs(); first += portions.most) {
      const Index units = (std::min)(portions.most, expand_.outputs() - first);
      const MatrixView<Scalar> again = is_kept ? room : room.block(0, 0, shape.rows(), units);
      const MatrixView<const Scalar> after =
          is_kept ? cache.after.block(0, first, shape.rows(), units) : MatrixView<const Scalar>(again);
      const MatrixView<Scalar> d_before = d_room.block(0, 0, shape.rows(), units);
      const auto differentiate_tile = [&](const MatrixView<Scalar>& d_after, Index row, Index column) {
        const MatrixView<const Scalar> before = cache.before.block(row, first + column, d_after.rows, d_after.columns);
        if (is_kept) {
          multiply_elements<Scalar>(before, d_after);
        } else {
          differentiate<Scalar>(before, d_after, again.block(row, column, d_after.rows, d_after.columns));
        }
      };
      multiply<Scalar>(dy_left, portions.contract.part_of_columns(first, units), d_before, {}, workspace,
                       {differentiate_tile, cache.before.block(0, first, shape.rows(), units)});
      multiply<Scalar>(MatrixView<const Scalar>(d_before), portions.expand.part_of_inner(first, units), d_input,
                       {nullptr, start}, workspace);
      add_column_sums<Scalar>(d_before, vector_of(gradients, expand_.bias()) + first);
      const auto mark = workspace.mark();
      const auto add_product = [&](const LeftOperand<Scalar>& one, const PackedOperand<Scalar>& other,
                                   MatrixView<Scalar> target) {
        multiply<Scalar>(one, other, target, {nullptr, target}, workspace);
      };
      add_product(left(after, Orientation::transposed), dy_right, d_w2.block(first, 0, units, d_w2.columns));
      add_product(x_transposed, right(d_before), d_w1.block(0, first, d_w1.rows, units));
      workspace.release(mark);
      start = d_input;
    }
    return d_input;
  }

 private:
  /// The weight matrices for products of some hidden units at a time. Takes back at its end what was taken from the
  /// workspace since its beginning.
  template <class Scalar>
  class Portions {
   public:
    Portions(const FeedForward& layer, Orientation orientation, const Weights<Scalar>& weights,
             Workspace<Scalar>& workspace)
        : workspace_(workspace),
          mark_(workspace.mark()),
          temporary_mark_(workspace.temporary().mark()),
          most(units_at_once(weights.precision(), layer.expand_.outputs())),
          expand(layer.expand_.packed(weights, orientation, workspace)),
          contract(layer.contract_.packed(weights, orientation, workspace)) {}
    ~Portions() {
      workspace_.release(mark_);
      workspace_.temporary().release(temporary_mark_);
    }
    Portions(const Portions&) = delete;
    Portions& operator=(const Portions&) = delete;

   private:
    Workspace<Scalar>& workspace_;
    typename Workspace<Scalar>::Mark mark_;
    typename Workspace<Scalar>::Mark temporary_mark_;

   public:
    const Index most;  ///< hidden units
    const PackedOperand<Scalar> expand;
    const PackedOperand<Scalar> contract;
  };

  /// after = activation(before); where that is kept, before becomes the derivative there.
  template <class Scalar>
  static void activate(bool is_kept, const MatrixView<Scalar>& before, const MatrixView<Scalar>& after) {
    // By copies of the views: what is referred to would be read again after every store.
    if (is_kept) {
      for_each_place<Scalar>(before.rows, before.columns, [before, after](const auto& place) INCONTEXT_ALWAYS_INLINE {
        const auto [value, derivative] = value_and_derivative<Activation>(place.load(before));
        place.store(value, after);
        place.store(derivative, before);
      });
    } else {
      for_each_place<Scalar>(before.rows, before.columns, [before, after](const auto& place) INCONTEXT_ALWAYS_INLINE {
        place.store(value_of<Activation>(place.load(before)), after);
      });
    }
  }

  /// d *= factors, element by element.
  template <class Scalar>
  static void multiply_elements(const MatrixView<const Scalar>& factors, const MatrixView<Scalar>& d) {
    for (Index row = 0; row < d.rows; ++row) {
      transform_row(
          d.columns, d.row(row), [](const auto& left, const auto& right) { return left * right; },
          static_cast<const Scalar*>(d.row(row)), factors.row(row));
    }
  }

  /// after = activation(before), d *= activation'(before): from the gradient of what is after to that of what is
  /// before. What is before was last used in the forward pass and comes from far away: fetched in one go, its lines
  /// come together, where between exponentials each would be waited for.
  template <class Scalar>
  static void differentiate(const MatrixView<const Scalar>& before, const MatrixView<Scalar>& d,
                            const MatrixView<Scalar>& after) {
    alignas(cache_line_bytes) Scalar memory[most_tile_scalars];
    const MatrixView<Scalar> fetched(memory, before.rows, before.columns);
    copy_matrix<Scalar>(before, fetched);
    for_each_place<Scalar>(before.rows, before.columns, [fetched, after, d](const auto& place) INCONTEXT_ALWAYS_INLINE {
      const auto [value, derivative] = value_and_derivative<Activation>(place.load(fetched));
      place.store(value, after);
      place.store(place.load(d) * derivative, d);
    });
  }

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
