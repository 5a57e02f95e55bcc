#include "incontext/simd/packed_operand.hpp"

#include "incontext/core/key.hpp"
#include "simd/island.hpp"
#include "simd/low_precision.hpp"

#include <doctest/doctest.h>

#include <complex>
#include <type_traits>
#include <vector>

using incontext::add_transposed_product;
using incontext::AlignedVector;
using incontext::Index;
using incontext::is_low;
using incontext::Key;
using incontext::MatrixView;
using incontext::multiply;
using incontext::multiply_transposed_left;
using incontext::pack;
using incontext::pack_operand;
using incontext::pack_tiles;
using incontext::PackedOperand;
using incontext::PackedPanels;
using incontext::PackedTiles;
using incontext::Precision;
using incontext::ProductStart;
using incontext::right_operand;
using incontext::Workspace;
using incontext_tests::content;
using incontext_tests::Island;
using incontext_tests::multiply;
using incontext_tests::multiply_transposed_left;
using incontext_tests::same_bits;

namespace {

constexpr Index rows = 37;
constexpr Index inner = 45;
constexpr Index columns = 50;
const std::vector<Precision> precisions = {Precision::fp32, Precision::bf16, Precision::bf16x3};

// The product that a precision stands for, by the kernel of that precision itself.
template <class Scalar>
std::vector<Scalar> expected_product(Precision precision, MatrixView<const Scalar> a, MatrixView<const Scalar> b,
                                     const ProductStart<Scalar>& start, Workspace<Scalar>& workspace) {
  Island<Scalar> c(a.rows, b.columns, 0, Key{9});
  const auto size = static_cast<std::size_t>(2 * PackedPanels<Scalar>::size(64, 64));
  AlignedVector<Scalar> memory(size);
  if constexpr (std::is_same_v<Scalar, float>) {
    if (precision != Precision::fp32) {
      multiply(a, pack_tiles(precision, b, memory.data()), c.view(), start, workspace);
      return content<Scalar>(c.view());
    }
  }
  multiply<Scalar>(a, pack(b, memory.data()), c.view(), start);
  return content<Scalar>(c.view());
}

}  // namespace

TEST_CASE("only floats have products of low precision") {
  CHECK_FALSE(is_low<float>(Precision::fp32));
  CHECK(is_low<float>(Precision::bf16));
  CHECK(is_low<float>(Precision::bf16x3));
  for (const Precision precision : precisions) {
    CHECK_FALSE(is_low<double>(precision));
    CHECK_FALSE(is_low<std::complex<double>>(precision));
    CHECK(PackedOperand<double>::size(precision, 5, 7) == PackedPanels<double>::size(5, 7));
  }
  CHECK(PackedOperand<float>::size(Precision::fp32, 5, 70) == PackedPanels<float>::size(5, 70));
  CHECK(PackedOperand<float>::size(Precision::bf16, 5, 70) == PackedTiles::size(Precision::bf16, 5, 70));
  CHECK(PackedOperand<float>::size(Precision::bf16x3, 5, 70) == PackedTiles::size(Precision::bf16x3, 5, 70));
}

TEST_CASE_TEMPLATE("a packed operand multiplies as the kernel of its precision does, bit for bit", Scalar, float,
                   double, std::complex<double>) {
  Workspace<Scalar> workspace;
  Island<Scalar> a(rows, inner, 1, Key{1});
  Island<Scalar> b(inner, columns, 2, Key{2});
  Island<Scalar> turned(columns, inner, 0, Key{3});
  Island<Scalar> bias(1, columns, 0, Key{4});
  Island<Scalar> addend(rows, columns, 1, Key{5});
  for (Index row = 0; row < inner; ++row) {
    for (Index column = 0; column < columns; ++column) {
      turned.view()(column, row) = b.view()(row, column);
    }
  }
  const ProductStart<Scalar> start{bias.view().data, addend.view()};
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    const std::vector<Scalar> expected = expected_product<Scalar>(precision, a.view(), b.view(), start, workspace);
    const auto size = static_cast<std::size_t>(PackedOperand<Scalar>::size(precision, inner, columns));
    AlignedVector<Scalar> memory(size + 1, Scalar(77));
    AlignedVector<Scalar> turned_memory = memory;
    const PackedOperand<Scalar> packed = pack_operand<Scalar>(precision, b.view(), memory.data());
    const PackedOperand<Scalar> packed_turned =
        pack_operand<Scalar>(precision, turned.view(), turned_memory.data(), incontext::Orientation::transposed);
    CHECK(memory.back() == Scalar(77));
    CHECK(turned_memory.back() == Scalar(77));
    for (const PackedOperand<Scalar>& operand : {packed, packed_turned}) {
      CHECK(operand.precision == precision);
      Island<Scalar> c(rows, columns, 3, Key{6});
      Index finished = 0;
      multiply<Scalar>(a.view(), operand, c.view(), start, workspace,
                       {[&](MatrixView<Scalar> tile, Index, Index) { finished += tile.rows * tile.columns; }});
      CHECK(same_bits(content<Scalar>(c.view()), expected));
      CHECK(c.surroundings_untouched());
      CHECK(finished == rows * columns);
    }
  }
}

TEST_CASE_TEMPLATE("a precision changes the bits of float products, and of no others", Scalar, float, double,
                   std::complex<double>) {
  Workspace<Scalar> workspace;
  Island<Scalar> a(rows, inner, 1, Key{1});
  Island<Scalar> b(inner, columns, 2, Key{2});
  std::vector<std::vector<Scalar>> results;
  for (const Precision precision : precisions) {
    AlignedVector<Scalar> memory(static_cast<std::size_t>(PackedOperand<Scalar>::size(precision, inner, columns)));
    Island<Scalar> c(rows, columns, 0, Key{3});
    multiply<Scalar>(a.view(), pack_operand<Scalar>(precision, b.view(), memory.data()), c.view(), {}, workspace);
    results.push_back(content<Scalar>(c.view()));
  }
  constexpr bool is_plain = !std::is_same_v<Scalar, float>;
  CHECK(same_bits(results[0], results[1]) == is_plain);
  CHECK(same_bits(results[0], results[2]) == is_plain);
  CHECK(same_bits(results[1], results[2]) == is_plain);
}

TEST_CASE_TEMPLATE("A^T B is added at the precision asked for, bit for bit", Scalar, float, double,
                   std::complex<double>) {
  Workspace<Scalar> workspace;
  Island<Scalar> a(inner, rows, 1, Key{1});
  Island<Scalar> b(inner, columns, 2, Key{2});
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    Island<Scalar> expected(rows, columns, 0, Key{3});
    Island<Scalar> found(rows, columns, 0, Key{3});
    const ProductStart<Scalar> in_place{nullptr, expected.view()};
    bool is_done = false;
    if constexpr (std::is_same_v<Scalar, float>) {
      if (precision != Precision::fp32) {
        multiply_transposed_left(precision, a.view(), b.view(), expected.view(), in_place, workspace);
        is_done = true;
      }
    }
    if (!is_done) {
      multiply_transposed_left<Scalar>(a.view(), b.view(), expected.view(), in_place, workspace);
    }
    add_transposed_product<Scalar>(precision, a.view(), b.view(), found.view(), workspace);
    CHECK(same_bits(content<Scalar>(found.view()), content<Scalar>(expected.view())));
    CHECK(found.surroundings_untouched());
  }
}

TEST_CASE_TEMPLATE("parts of an operand give the bits that the whole gives, where no term waits for another", Scalar,
                   float, double, std::complex<double>) {
  // 128 is a whole number of panels of every precision; its ends are odd, or fill whole registers: then an operand in
  // the scalar itself is the matrix where it lies.
  constexpr Index long_inner = 128 + 45;
  Workspace<Scalar> workspace;
  Island<Scalar> a(rows, long_inner, 1, Key{1});
  for (const Index many_columns : {128 + 50, 128 + 48}) {
    Island<Scalar> b(long_inner, many_columns, 2, Key{2});
    for (const Precision precision : precisions) {
      CAPTURE(name_of(precision));
      CAPTURE(many_columns);
      workspace.reset();
      AlignedVector<Scalar> memory(
          static_cast<std::size_t>(PackedOperand<Scalar>::size(precision, long_inner, many_columns)));
      Island<Scalar> expected(rows, many_columns, 0, Key{3});
      multiply<Scalar>(a.view(), pack_operand<Scalar>(precision, b.view(), memory.data()), expected.view(), {},
                       workspace);
      const PackedOperand<Scalar> whole =
          right_operand<Scalar>(precision, b.view(), incontext::Orientation::as_stored, workspace);
      Island<Scalar> by_whole(rows, many_columns, 3, Key{3});
      multiply<Scalar>(a.view(), whole, by_whole.view(), {}, workspace);
      Island<Scalar> by_columns(rows, many_columns, 3, Key{4});
      Island<Scalar> by_inner(rows, many_columns, 3, Key{5});
      Island<Scalar> by_both(rows, many_columns, 3, Key{6});
      for (const auto& [first, count] : {std::pair<Index, Index>{0, 128}, {128, many_columns - 128}}) {
        multiply<Scalar>(a.view(), whole.part_of_columns(first, count), by_columns.view().block(0, first, rows, count),
                         {}, workspace);
      }
      MatrixView<const Scalar> start;
      for (const auto& [first, count] : {std::pair<Index, Index>{0, 128}, {128, long_inner - 128}}) {
        const MatrixView<const Scalar> a_part = a.view().block(0, first, rows, count);
        const PackedOperand<Scalar> part = whole.part_of_inner(first, count);
        multiply<Scalar>(a_part, part, by_inner.view(), {nullptr, start}, workspace);
        for (const auto& [column, number] : {std::pair<Index, Index>{0, 128}, {128, many_columns - 128}}) {
          const MatrixView<Scalar> target = by_both.view().block(0, column, rows, number);
          multiply<Scalar>(a_part, part.part_of_columns(column, number), target,
                           {nullptr, first == 0 ? MatrixView<const Scalar>() : target}, workspace);
        }
        start = by_inner.view();
      }
      CHECK(same_bits(content<Scalar>(by_whole.view()), content<Scalar>(expected.view())));
      CHECK(same_bits(content<Scalar>(by_columns.view()), content<Scalar>(expected.view())));
      const bool is_split = is_low<Scalar>(precision) && precision == Precision::bf16x3;
      CHECK(same_bits(content<Scalar>(by_inner.view()), content<Scalar>(expected.view())) == !is_split);
      CHECK(same_bits(content<Scalar>(by_both.view()), content<Scalar>(by_inner.view())));
      CHECK(by_columns.surroundings_untouched());
      CHECK(by_inner.surroundings_untouched());
    }
  }
}

TEST_CASE_TEMPLATE("a left operand made once multiplies as one made on the way, both ways round", Scalar, float, double,
                   std::complex<double>) {
  using incontext::left_operand;
  using incontext::Orientation;
  Workspace<Scalar> workspace;
  Island<Scalar> a(rows, inner, 1, Key{1});
  Island<Scalar> turned(inner, rows, 2, Key{2});
  Island<Scalar> b(inner, columns, 2, Key{3});
  for (const Precision precision : precisions) {
    CAPTURE(name_of(precision));
    AlignedVector<Scalar> memory(static_cast<std::size_t>(PackedOperand<Scalar>::size(precision, inner, columns)));
    const PackedOperand<Scalar> packed = pack_operand<Scalar>(precision, b.view(), memory.data());
    const auto made = left_operand<Scalar>(precision, a.view(), Orientation::as_stored, workspace);
    const auto made_turned = left_operand<Scalar>(precision, turned.view(), Orientation::transposed, workspace);
    Island<Scalar> expected(rows, columns, 0, Key{4});
    Island<Scalar> expected_turned(rows, columns, 0, Key{4});
    multiply<Scalar>(a.view(), packed, expected.view(), {}, workspace);
    add_transposed_product<Scalar>(precision, turned.view(), b.view(), expected_turned.view(), workspace);
    for (int time = 0; time < 2; ++time) {
      Island<Scalar> found(rows, columns, 0, Key{4});
      multiply<Scalar>(made_turned, packed, found.view(), {nullptr, found.view()}, workspace);
      CHECK(same_bits(content<Scalar>(found.view()), content<Scalar>(expected_turned.view())));
      multiply<Scalar>(made, packed, found.view(), {}, workspace);
      CHECK(same_bits(content<Scalar>(found.view()), content<Scalar>(expected.view())));
      CHECK(found.surroundings_untouched());
    }
  }
}
