#pragma once
/// \file
/// What layers read their parameters from: the flat buffer, and the packed panels of its weight matrices.

#include "incontext/core/executor.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/simd/packed_operand.hpp"

#include <cstddef>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A weight matrix, [rows, columns] as stored.
struct WeightMatrix {
  ParameterId id;
  Index rows = 0;
  Index columns = 0;
};

/// The weight matrices of a model in panels, both ways round: the forward reads the one, the backward the other. Packed
/// once for all micro-batches of a step. Memory is kept: packing again allocates nothing.
template <class Scalar>
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(std::vector<WeightMatrix> matrices, Precision precision)
      : precision_(precision), matrices_(std::move(matrices)) {
    Index size = 0;
    for (const WeightMatrix& matrix : matrices_) {
      for (const Orientation orientation : {Orientation::as_stored, Orientation::transposed}) {
        offsets_.push_back(size);
        size += PackedOperand<Scalar>::size(precision, matrix.rows, matrix.columns, orientation);
      }
    }
    storage_.resize(static_cast<std::size_t>(size));
    operands_.resize(offsets_.size());
  }

  /// Packs every matrix anew from `values`, the flat buffer.
  void pack(const Scalar* values, ExecutorReference executor) {
    executor.run(static_cast<Index>(operands_.size()), [&](Index index) {
      const WeightMatrix& matrix = matrices_[static_cast<std::size_t>(index / 2)];
      const MatrixView<const Scalar> view(values + matrix.id.offset, matrix.rows, matrix.columns);
      Scalar* const target = storage_.data() + offsets_[static_cast<std::size_t>(index)];
      operands_[static_cast<std::size_t>(index)] =
          pack_operand(precision_, view, target, index % 2 == 0 ? Orientation::as_stored : Orientation::transposed);
    });
  }

  [[nodiscard]] Precision precision() const { return precision_; }

  /// The panels of a matrix that was packed, or null.
  [[nodiscard]] const PackedOperand<Scalar>* find(ParameterId id, Orientation orientation) const {
    for (std::size_t place = 0; place < matrices_.size(); ++place) {
      if (matrices_[place].id.offset == id.offset) {
        return &operands_[2 * place + (orientation == Orientation::transposed ? 1 : 0)];
      }
    }
    return nullptr;
  }

  /// The memory held, in bytes.
  [[nodiscard]] Index bytes() const { return static_cast<Index>(storage_.size() * sizeof(Scalar)); }

 private:
  Precision precision_ = Precision::fp32;
  std::vector<WeightMatrix> matrices_;
  std::vector<Index> offsets_;  // of the panels in storage_: two for every matrix
  std::vector<PackedOperand<Scalar>> operands_;
  AlignedVector<Scalar> storage_;
};

/// The parameters as a layer sees them. A plain pointer to the flat buffer will do: weights that are not packed are
/// packed where they are used, to the same bits.
template <class Scalar>
class Weights {
 public:
  Weights(const Scalar* values, Precision precision = Precision::fp32) : values_(values), precision_(precision) {}
  Weights(const Scalar* values, const PackedWeights<Scalar>& packed)
      : values_(values), packed_(&packed), precision_(packed.precision()) {}

  [[nodiscard]] Precision precision() const { return precision_; }
  /// A vector parameter, [size].
  [[nodiscard]] const Scalar* vector(ParameterId id) const { return values_ + id.offset; }
  /// A matrix parameter, [rows, columns].
  [[nodiscard]] MatrixView<const Scalar> matrix(ParameterId id, Index rows) const {
    return {values_ + id.offset, rows, id.size / rows};
  }
  /// A matrix parameter, [rows, columns] as stored, in panels; in `workspace` if it is not packed yet.
  [[nodiscard]] PackedOperand<Scalar> packed(ParameterId id, Index rows, Orientation orientation,
                                             Workspace<Scalar>& workspace) const {
    const PackedOperand<Scalar>* ready = packed_ == nullptr ? nullptr : packed_->find(id, orientation);
    if (ready != nullptr) {
      return *ready;
    }
    return right_operand(precision_, matrix(id, rows), orientation, workspace);
  }

 private:
  const Scalar* values_;
  const PackedWeights<Scalar>* packed_ = nullptr;
  Precision precision_ = Precision::fp32;
};

INCONTEXT_NAMESPACE_END
