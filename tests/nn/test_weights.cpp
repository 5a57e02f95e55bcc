#include "incontext/nn/weights.hpp"

#include "core/allocation_counter.hpp"
#include "incontext/core/key.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <vector>

using incontext::AlignedVector;
using incontext::ExecutorReference;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::multiply;
using incontext::Orientation;
using incontext::PackedOperand;
using incontext::PackedWeights;
using incontext::ParameterId;
using incontext::ParameterLayout;
using incontext::Precision;
using incontext::SerialExecutor;
using incontext::Stream;
using incontext::ThreadExecutor;
using incontext::WeightMatrix;
using incontext::Weights;
using incontext::Workspace;
using incontext_tests::content;
using incontext_tests::Island;
using incontext_tests::same_bits;

namespace {

const std::vector<Precision> precisions = {Precision::fp32, Precision::bf16, Precision::bf16x3};
const std::vector<Orientation> orientations = {Orientation::as_stored, Orientation::transposed};

// A layout with weight matrices of odd shapes among vectors, and values for it.
template <class Scalar>
struct Example {
  Example() {
    const auto matrix = [&](const char* name, Index rows, Index columns) {
      matrices.push_back({layout.declare(name, {rows, columns}), rows, columns});
    };
    matrix("first", 5, 7);
    vector = layout.declare("bias", {7});
    matrix("second", 33, 16);
    matrix("third", 40, 67);
    unpacked = layout.declare("table", {9, 4});
    values = AlignedVector<Scalar>(static_cast<std::size_t>(layout.size()));
    redraw(Key{1});
  }
  void redraw(Key key) { Stream(key).fill_normal(values.begin(), values.end()); }
  // Not in the order in which they lie in memory.
  [[nodiscard]] PackedWeights<Scalar> make_packed(Precision precision) const {
    return {{matrices[2], matrices[0], matrices[1]}, precision};
  }

  ParameterLayout layout;
  std::vector<WeightMatrix> matrices;
  ParameterId vector;
  ParameterId unpacked;
  AlignedVector<Scalar> values;
};

// x W or x W^T, as a layer computes it.
template <class Scalar>
std::vector<Scalar> product(const Weights<Scalar>& weights, const WeightMatrix& matrix, Orientation orientation) {
  const bool turned = orientation == Orientation::transposed;
  Island<Scalar> input(19, turned ? matrix.columns : matrix.rows, 1, Key{2});
  Island<Scalar> output(19, turned ? matrix.rows : matrix.columns, 2, Key{3});
  Workspace<Scalar> workspace;
  multiply<Scalar>(input.view(), weights.packed(matrix.id, matrix.rows, orientation, workspace), output.view(), {},
                   workspace);
  CHECK(output.surroundings_untouched());
  return content<Scalar>(output.view());
}

// The memory that an operand was packed in, padding included.
template <class Scalar>
std::vector<Scalar> memory_of(const PackedOperand<Scalar>& operand, Precision precision) {
  const void* start = operand.panels.data;
  Index inner = operand.panels.inner;
  Index columns = operand.panels.columns;
  if (incontext::is_low<Scalar>(precision)) {
    start = operand.tiles.high;
    inner = operand.tiles.inner;
    columns = operand.tiles.columns;
  }
  std::vector<Scalar> values(static_cast<std::size_t>(PackedOperand<Scalar>::size(precision, inner, columns)));
  std::memcpy(static_cast<void*>(values.data()), start, values.size() * sizeof(Scalar));
  return values;
}

}  // namespace

TEST_CASE("weights are views of the flat buffer") {
  Example<double> example;
  const Weights<double> weights(example.values.data(), Precision::bf16);
  CHECK(weights.precision() == Precision::bf16);
  CHECK(Weights<double>(example.values.data()).precision() == Precision::fp32);
  CHECK(weights.vector(example.vector) == example.values.data() + example.vector.offset);
  const MatrixView<const double> table = weights.matrix(example.unpacked, 9);
  CHECK(table.data == example.values.data() + example.unpacked.offset);
  CHECK(table.rows == 9);
  CHECK(table.columns == 4);
}

TEST_CASE_TEMPLATE("weights packed beforehand give the bits of weights packed where they are used", Scalar, float,
                   double, std::complex<double>) {
  Example<Scalar> example;
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    PackedWeights<Scalar> packed = example.make_packed(precision);
    CHECK(packed.precision() == precision);
    packed.pack(example.values.data(), {});
    const Weights<Scalar> beforehand(example.values.data(), packed);
    const Weights<Scalar> on_the_spot(example.values.data(), precision);
    CHECK(beforehand.precision() == precision);
    for (const WeightMatrix& matrix : example.matrices) {
      for (const Orientation orientation : orientations) {
        CAPTURE(matrix.rows);
        CHECK(same_bits(product(beforehand, matrix, orientation), product(on_the_spot, matrix, orientation)));
      }
    }
    // A matrix that was left out is packed on the spot, too.
    const WeightMatrix table{example.unpacked, 9, 4};
    for (const Orientation orientation : orientations) {
      CHECK(same_bits(product(beforehand, table, orientation), product(on_the_spot, table, orientation)));
    }
  }
}

TEST_CASE("packed weights are found by their parameter, and what was not packed is not") {
  Example<float> example;
  for (const Precision precision : precisions) {
    PackedWeights<float> packed = example.make_packed(precision);
    packed.pack(example.values.data(), {});
    std::vector<const PackedOperand<float>*> found;
    for (const WeightMatrix& matrix : example.matrices) {
      for (const Orientation orientation : orientations) {
        const PackedOperand<float>* const operand = packed.find(matrix.id, orientation);
        REQUIRE(operand != nullptr);
        const bool turned = orientation == Orientation::transposed;
        const bool low = precision != Precision::fp32;
        CHECK(operand->precision == precision);
        CHECK((low ? operand->tiles.inner : operand->panels.inner) == (turned ? matrix.columns : matrix.rows));
        CHECK((low ? operand->tiles.columns : operand->panels.columns) == (turned ? matrix.rows : matrix.columns));
        CHECK(std::count(found.begin(), found.end(), operand) == 0);
        found.push_back(operand);
      }
    }
    for (const Orientation orientation : orientations) {
      CHECK(packed.find(example.vector, orientation) == nullptr);
      CHECK(packed.find(example.unpacked, orientation) == nullptr);
    }
  }
  CHECK(PackedWeights<float>().find(example.matrices[0].id, Orientation::as_stored) == nullptr);
  CHECK(PackedWeights<float>().bytes() == 0);
}

TEST_CASE("a packed weight is in memory of the packed weights: nothing is taken from the workspace") {
  Example<float> example;
  for (const Precision precision : precisions) {
    PackedWeights<float> packed = example.make_packed(precision);
    packed.pack(example.values.data(), {});
    const Weights<float> weights(example.values.data(), packed);
    Workspace<float> workspace;
    (void)weights.packed(example.matrices[1].id, 33, Orientation::transposed, workspace);
    CHECK(workspace.bytes() == 0);
    Index size = 0;
    for (const WeightMatrix& matrix : example.matrices) {
      size += PackedOperand<float>::size(precision, matrix.rows, matrix.columns) +
              PackedOperand<float>::size(precision, matrix.columns, matrix.rows);
    }
    CHECK(packed.bytes() == size * static_cast<Index>(sizeof(float)));
  }
}

TEST_CASE("law 11: packing again reads the new values and allocates nothing") {
  Example<float> example;
  SerialExecutor serial;
  ThreadExecutor threads(3);
  for (const ExecutorReference& executor : {ExecutorReference(serial), ExecutorReference(threads)}) {
    for (const Precision precision : precisions) {
      example.redraw(Key{1});
      PackedWeights<float> packed = example.make_packed(precision);
      packed.pack(example.values.data(), executor);
      example.redraw(Key{2});
      CHECK(incontext_test::allocations_of([&] { packed.pack(example.values.data(), executor); }) == 0);
      const Weights<float> beforehand(example.values.data(), packed);
      const Weights<float> on_the_spot(example.values.data(), precision);
      for (const WeightMatrix& matrix : example.matrices) {
        for (const Orientation orientation : orientations) {
          CHECK(same_bits(product(beforehand, matrix, orientation), product(on_the_spot, matrix, orientation)));
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("law 7: the number of worker threads never changes a bit of packed weights", Scalar, float, double) {
  Example<Scalar> example;
  for (const Precision precision : precisions) {
    PackedWeights<Scalar> serial = example.make_packed(precision);
    serial.pack(example.values.data(), {});
    for (const Index threads : {1, 2, 5}) {
      ThreadExecutor executor(threads);
      PackedWeights<Scalar> threaded = example.make_packed(precision);
      threaded.pack(example.values.data(), executor);
      for (const WeightMatrix& matrix : example.matrices) {
        for (const Orientation orientation : orientations) {
          CHECK(same_bits(memory_of(*serial.find(matrix.id, orientation), precision),
                          memory_of(*threaded.find(matrix.id, orientation), precision)));
        }
      }
    }
  }
}
