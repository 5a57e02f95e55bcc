#include "incontext/simd/packed_panels.hpp"

#include "incontext/core/key.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <complex>
#include <vector>

using incontext::batch_size;
using incontext::in_panels;
using incontext::Index;
using incontext::Key;
using incontext::lies_in_panels;
using incontext::MatrixView;
using incontext::pack;
using incontext::PackedPanels;
using incontext::panel_columns;
using incontext::Workspace;
using incontext_tests::Island;
using incontext_tests::same_bits;

namespace {

template <class Scalar>
std::vector<Index> odd_sizes() {
  const Index lanes = batch_size<Scalar>;
  return {1, 2, 3, lanes - 1, lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1, 3 * lanes, 5 * lanes + 2, 67};
}

// Memory for panels, and behind it a number that nobody may write.
template <class Scalar>
std::vector<Scalar> memory_for(Index inner, Index columns) {
  return std::vector<Scalar>(static_cast<std::size_t>(PackedPanels<Scalar>::size(inner, columns)) + 1, Scalar(77));
}

}  // namespace

TEST_CASE_TEMPLATE("panels take the columns padded to whole registers, the last one no more than it needs", Scalar,
                   float, double, std::complex<double>) {
  for (const Index columns : odd_sizes<Scalar>()) {
    CAPTURE(columns);
    CHECK(PackedPanels<Scalar>::size(5, columns) == 5 * incontext::padded<Scalar>(columns));
    // The widths of the panels add up to it.
    Index width = 0;
    for (Index column = 0; column < columns; column += panel_columns<Scalar>) {
      width += PackedPanels<Scalar>::width_of(columns - column);
    }
    CHECK(width == incontext::padded<Scalar>(columns));
  }
  CHECK(PackedPanels<Scalar>::size(0, 7) == 0);
  CHECK(PackedPanels<Scalar>::size(7, 0) == 0);
}

TEST_CASE_TEMPLATE("a panel holds its columns row by row, with zeros beyond the last", Scalar, float, double,
                   std::complex<double>) {
  for (const Index inner : {0, 1, 2, 15, 16, 17, 40}) {
    for (const Index columns : odd_sizes<Scalar>()) {
      CAPTURE(inner);
      CAPTURE(columns);
      Island<Scalar> b(inner, columns, columns % 3, Key{1});
      std::vector<Scalar> memory = memory_for<Scalar>(inner, columns);
      const PackedPanels<Scalar> panels = pack<Scalar>(b.view(), memory.data());
      CHECK(panels.data == memory.data());
      CHECK(panels.inner == inner);
      CHECK(panels.columns == columns);
      std::vector<Scalar> expected;
      for (Index first = 0; first < columns; first += panel_columns<Scalar>) {
        CHECK(panels.panel(first) == memory.data() + expected.size());
        const Index width = columns - first > batch_size<Scalar> ? 2 * batch_size<Scalar> : batch_size<Scalar>;
        for (Index k = 0; k < inner; ++k) {
          for (Index column = first; column < first + width; ++column) {
            expected.push_back(column < columns ? b.view()(k, column) : Scalar{});
          }
        }
      }
      expected.push_back(Scalar(77));
      CHECK(same_bits(memory, expected));
    }
  }
}

TEST_CASE_TEMPLATE("transposed panels are the panels of the transposed matrix", Scalar, float, double,
                   std::complex<double>) {
  for (const Index inner : {0, 1, 2, 15, 16, 17, 40}) {
    for (const Index columns : odd_sizes<Scalar>()) {
      CAPTURE(inner);
      CAPTURE(columns);
      Island<Scalar> b(inner, columns, 1, Key{1});
      Island<Scalar> turned(columns, inner, 2, Key{2});
      for (Index row = 0; row < inner; ++row) {
        for (Index column = 0; column < columns; ++column) {
          turned.view()(column, row) = b.view()(row, column);
        }
      }
      std::vector<Scalar> memory = memory_for<Scalar>(inner, columns);
      std::vector<Scalar> turned_memory = memory;
      (void)pack<Scalar>(b.view(), memory.data());
      const PackedPanels<Scalar> panels =
          pack<Scalar>(turned.view(), turned_memory.data(), incontext::Orientation::transposed);
      CHECK(panels.inner == inner);
      CHECK(panels.columns == columns);
      CHECK(same_bits(memory, turned_memory));
    }
  }
}

TEST_CASE_TEMPLATE("a matrix is in panels where it lies if its columns fill whole registers, and is packed otherwise",
                   Scalar, float, double, std::complex<double>) {
  const Index inner = 7;
  for (const Index columns : odd_sizes<Scalar>()) {
    CAPTURE(columns);
    Island<Scalar> b(inner, columns, 3, Key{1});
    std::vector<Scalar> memory = memory_for<Scalar>(inner, columns);
    const std::vector<Scalar> before = memory;
    const bool fills = columns % batch_size<Scalar> == 0;
    CHECK(lies_in_panels<Scalar>(columns) == fills);
    const PackedPanels<Scalar> panels = in_panels<Scalar>(b.view(), memory.data());
    CHECK(panels.inner == inner);
    CHECK(panels.columns == columns);
    CHECK(same_bits(memory, before) == fills);
    // Of a workspace only what packing needs is taken.
    Workspace<Scalar> workspace;
    const PackedPanels<Scalar> brought = in_panels<Scalar>(b.view(), workspace);
    CHECK((brought.data == b.view().data) == fills);
    CHECK((workspace.bytes() == 0) == fills);
    const PackedPanels<Scalar> part = panels.part_of_inner(2, 3);
    CHECK(part.inner == 3);
    for (Index first = 0; first < columns; first += panel_columns<Scalar>) {
      const Index width = (std::min)(columns - first, PackedPanels<Scalar>::width_of(columns - first));
      const PackedPanels<Scalar> own = panels.part_of_columns(first, width);
      for (Index k = 0; k < inner; ++k) {
        for (Index column = 0; column < width; ++column) {
          CHECK(panels.panel(first)[k * panels.row_stride(first) + column] == b.view()(k, first + column));
          CHECK(own.panel(0)[k * own.row_stride(0) + column] == b.view()(k, first + column));
        }
      }
      CHECK(part.panel(first) == panels.panel(first) + 2 * panels.row_stride(first));
    }
  }
}
