#include "incontext/simd/low_precision_product.hpp"

#include "incontext/core/key.hpp"
#include "simd/island.hpp"
#include "simd/low_precision.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::pack_tiles;
using incontext::PackedTiles;
using incontext::Precision;
using incontext::ProductStart;
using incontext::to_bfloat16;
using incontext::to_bfloat16_rest;
using incontext::to_float;
using incontext::Workspace;
using incontext_tests::content;
using incontext_tests::Island;
using incontext_tests::multiply;
using incontext_tests::multiply_transposed_left;
using incontext_tests::same_bits;

namespace {

const std::vector<Precision> low_precisions = {Precision::bf16, Precision::bf16x3};

// The tiles of a matrix, with the memory that they lie in.
class Tiles {
 public:
  Tiles(Precision precision, MatrixView<const float> b)
      : memory_(static_cast<std::size_t>(PackedTiles::size(precision, b.rows, b.columns)) + 1),  // never null
        tiles_(pack_tiles(precision, b, memory_.data())) {}
  [[nodiscard]] const PackedTiles& operator*() const { return tiles_; }

 private:
  AlignedVector<float> memory_;
  PackedTiles tiles_;
};

// A matrix and its two parts, exactly.
struct Exact {
  explicit Exact(MatrixView<const float> view) : columns(view.columns) {
    for (const float value : content<float>(view)) {
      whole.push_back(static_cast<double>(value));
      high.push_back(static_cast<double>(to_float(to_bfloat16(value))));
      low.push_back(static_cast<double>(to_float(to_bfloat16_rest(value))));
    }
  }
  Index columns;
  std::vector<double> whole;
  std::vector<double> high;
  std::vector<double> low;
};

Exact transposed(MatrixView<const float> view) {
  std::vector<float> values;
  for (Index column = 0; column < view.columns; ++column) {
    for (Index row = 0; row < view.rows; ++row) {
      values.push_back(view(row, column));
    }
  }
  return Exact({values.data(), view.columns, view.rows});
}

// Whether C is start + A B.
//
// Given the operands' parts, the products are exact and only the sums round: within a step of 32 a product passes 16
// sums (of the even or of the odd ones) and the sum of the two; then, for every step of every term, one into the total.
// The start passes the latter, and one if it is a sum itself. So C is within gamma_k = k u / (1 - k u) of the sum of
// the products' sizes, for k = 18 + terms * steps, u half an epsilon (Higham, "Accuracy and stability of numerical
// algorithms", 3.5).
//
// Of the product of the operands themselves bf16 is further off by (2 v + v^2) |A| |B|, v = 2^-8 being half a unit in
// the last of eight places. bf16x3 has operands within v' = 2^-17 (see the test of bfloat16.hpp), which makes
// (2 v' + v'^2) |A| |B|, and leaves out the product of the rests, each at most v of its operand: v^2 |A| |B|.
bool is_product(Precision precision, const Exact& a, const Exact& b, Index inner, MatrixView<const float> c,
                const std::vector<double>& start) {
  const bool split = precision == Precision::bf16x3;
  const Index steps = (inner + 31) / 32;
  const double k = static_cast<double>(18 + (split ? 3 : 1) * steps) * 0.5 *
                   static_cast<double>(std::numeric_limits<float>::epsilon());
  const double gamma = k / (1.0 - k);
  const double v = split ? 0x1p-17 : 0x1p-8;
  const double operands = 2.0 * v + v * v + (split ? 0x1p-16 : 0.0);
  for (Index row = 0; row < c.rows; ++row) {
    for (Index column = 0; column < c.columns; ++column) {
      long double parts = start[static_cast<std::size_t>(row * c.columns + column)];
      long double size_of_parts = std::abs(parts);
      long double whole = parts;
      long double size_of_whole = 0.0L;
      for (Index index = 0; index < inner; ++index) {
        const auto left = static_cast<std::size_t>(row * a.columns + index);
        const auto right = static_cast<std::size_t>(index * b.columns + column);
        const auto add = [&](double from_left, double from_right) {
          const long double product = static_cast<long double>(from_left) * from_right;
          parts += product;
          size_of_parts += std::abs(product);
        };
        add(a.high[left], b.high[right]);
        if (split) {
          add(a.high[left], b.low[right]);
          add(a.low[left], b.high[right]);
        }
        whole += static_cast<long double>(a.whole[left]) * b.whole[right];
        size_of_whole += std::abs(static_cast<long double>(a.whole[left]) * b.whole[right]);
      }
      const long double found = c(row, column);
      // Written so that a NaN is a difference.
      if (!(std::abs(found - parts) <= gamma * size_of_parts) ||
          !(std::abs(found - whole) <= gamma * size_of_parts + operands * size_of_whole)) {
        return false;
      }
    }
  }
  return true;
}

// All products at one size, from every start. `gap` elements of NaN lie between the rows.
void check_products(Precision precision, Index rows, Index inner, Index columns, Index gap) {
  CAPTURE(name_of(precision));
  CAPTURE(rows);
  CAPTURE(inner);
  CAPTURE(columns);
  CAPTURE(gap);
  Workspace<float> workspace;
  Island<float> a(rows, inner, gap, Key{1});
  Island<float> a_transposed(inner, rows, gap, Key{2});
  Island<float> b(inner, columns, gap, Key{3});
  Island<float> addend(rows, columns, gap + 1, Key{4});
  Island<float> bias(1, columns, gap, Key{5});
  const Tiles tiles(precision, b.view());
  const Exact left(a.view());
  const Exact left_transposed = transposed(a_transposed.view());
  const Exact right(b.view());
  const float* const biases = bias.view().data;
  for (const bool has_bias : {false, true}) {
    for (const int kind : {0, 1, 2}) {  // no addend, one of its own, one in place
      CAPTURE(has_bias);
      CAPTURE(kind);
      Island<float> c(rows, columns, gap, Key{6});
      const MatrixView<float> own = kind == 1 ? addend.view() : c.view();
      std::vector<double> from(static_cast<std::size_t>(rows * columns), 0.0);
      for (Index row = 0; row < rows; ++row) {
        for (Index column = 0; column < columns; ++column) {
          from[static_cast<std::size_t>(row * columns + column)] =
              (has_bias ? static_cast<double>(biases[column]) : 0.0) +
              (kind == 0 ? 0.0 : static_cast<double>(own(row, column)));
        }
      }
      ProductStart<float> start;
      start.bias = has_bias ? biases : nullptr;
      if (kind != 0) {
        start.addend = own;
      }
      const std::vector<float> before = content<float>(c.view());
      multiply(a.view(), *tiles, c.view(), start, workspace);
      CHECK(is_product(precision, left, right, inner, c.view(), from));
      for (Index row = 0; row < rows; ++row) {
        std::copy_n(before.data() + row * columns, columns, c.view().row(row));
      }
      multiply_transposed_left(precision, a_transposed.view(), b.view(), c.view(), start, workspace);
      CHECK(is_product(precision, left_transposed, right, inner, c.view(), from));
      CHECK(c.surroundings_untouched());
    }
  }
}

}  // namespace

TEST_CASE("every product of low precision is the sum that it stands for, at every kind of edge of a block") {
  const std::vector<Index> sizes = {1, 15, 16, 17, 31, 32, 33, 40, 65};
  for (const Precision precision : low_precisions) {
    for (const Index rows : sizes) {
      for (const Index columns : sizes) {
        check_products(precision, rows, 17, columns, rows % 3);
      }
    }
    for (const Index inner : sizes) {
      for (const Index size : {1, 17, 33, 65}) {
        check_products(precision, size, inner, 32, inner % 2);
        check_products(precision, 32, inner, size, inner % 3);
        check_products(precision, size, inner, size, 1);
      }
    }
  }
}

TEST_CASE("without an inner dimension a product of low precision is its start") {
  for (const Precision precision : low_precisions) {
    for (const Index size : {1, 16, 32, 45}) {
      check_products(precision, size, 0, size, 1);
    }
  }
}

TEST_CASE("an inner dimension of many steps loses no more than its sums round") {
  for (const Precision precision : low_precisions) {
    for (const Index inner : {511, 512, 513, 1030}) {
      check_products(precision, 33, inner, 34, 1);
    }
  }
}

TEST_CASE("operands that are bfloat16 already are multiplied without an error, as far as the sums are exact") {
  // Small integers: every product and every sum is an integer below 2^24.
  const Index rows = 37;
  const Index inner = 70;
  const Index columns = 41;
  Island<float> a(rows, inner, 1, Key{1});
  Island<float> b(inner, columns, 2, Key{2});
  incontext::Stream stream(Key{3});
  const auto fill = [&](MatrixView<float> view) {
    for (Index row = 0; row < view.rows; ++row) {
      for (Index column = 0; column < view.columns; ++column) {
        view(row, column) = static_cast<float>(stream.integer(255)) - 127.0F;
      }
    }
  };
  fill(a.view());
  fill(b.view());
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    Island<float> c(rows, columns, 0, Key{4});
    multiply(a.view(), *Tiles(precision, b.view()), c.view(), {}, workspace);
    bool same = true;
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < columns; ++column) {
        float sum = 0.0F;
        for (Index index = 0; index < inner; ++index) {
          sum += a.view()(row, index) * b.view()(index, column);
        }
        same = same && c.view()(row, column) == sum;
      }
    }
    CHECK(same);
  }
}

TEST_CASE("tiles of a transposed matrix have the bits of the matrix's, padding included") {
  for (const Precision precision : low_precisions) {
    for (const Index inner : {1, 15, 31, 32, 33, 65}) {
      for (const Index columns : {1, 16, 17, 32, 40, 65}) {
        CAPTURE(inner);
        CAPTURE(columns);
        Island<float> b(inner, columns, 1, Key{1});
        Island<float> turned(columns, inner, 2, Key{2});
        for (Index row = 0; row < inner; ++row) {
          for (Index column = 0; column < columns; ++column) {
            turned.view()(column, row) = b.view()(row, column);
          }
        }
        const auto size = static_cast<std::size_t>(PackedTiles::size(precision, inner, columns));
        AlignedVector<float> memory(size + 1, 77.0F);
        AlignedVector<float> turned_memory(size + 1, 77.0F);
        const PackedTiles tiles = pack_tiles(precision, b.view(), memory.data());
        const PackedTiles turned_tiles =
            pack_tiles(precision, turned.view(), turned_memory.data(), incontext::Orientation::transposed);
        CHECK(same_bits(memory, turned_memory));
        CHECK(memory.back() == 77.0F);
        for (const PackedTiles& each : {tiles, turned_tiles}) {
          CHECK(each.inner == inner);
          CHECK(each.columns == columns);
          CHECK((each.low == nullptr) == (precision == Precision::bf16));
        }
      }
    }
  }
}

TEST_CASE("A^T B of low precision has the bits of the product with the transposed matrix") {
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    for (const Index inner : {1, 32, 75}) {
      for (const Index rows : {1, 16, 47}) {
        const Index columns = 35;
        Island<float> a(inner, rows, 2, Key{1});
        Island<float> a_transposed(rows, inner, 1, Key{2});
        Island<float> b(inner, columns, 0, Key{3});
        for (Index row = 0; row < inner; ++row) {
          for (Index column = 0; column < rows; ++column) {
            a_transposed.view()(column, row) = a.view()(row, column);
          }
        }
        Island<float> left(rows, columns, 0, Key{4});
        Island<float> right(rows, columns, 3, Key{5});
        multiply_transposed_left(precision, a.view(), b.view(), left.view(), {}, workspace);
        multiply(a_transposed.view(), *Tiles(precision, b.view()), right.view(), {}, workspace);
        CHECK(same_bits(content<float>(left.view()), content<float>(right.view())));
      }
    }
  }
}

TEST_CASE("every element of a product of low precision is finished once, when it is there") {
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    for (const Index rows : {1, 32, 33, 64, 81}) {
      for (const Index columns : {1, 16, 32, 70}) {
        CAPTURE(rows);
        CAPTURE(columns);
        Island<float> a(rows, 40, 1, Key{1});
        Island<float> b(40, columns, 2, Key{2});
        Island<float> c(rows, columns, 3, Key{3});
        Island<float> factors(rows, columns, 4, Key{4});  // asked for on the way
        std::vector<float> at_finish(static_cast<std::size_t>(rows * columns));
        std::vector<int> times(at_finish.size(), 0);
        const auto note_and_multiply = [&](MatrixView<float> tile, Index first_row, Index first_column) {
          for (Index row = 0; row < tile.rows; ++row) {
            for (Index column = 0; column < tile.columns; ++column) {
              const auto place = static_cast<std::size_t>((first_row + row) * columns + first_column + column);
              at_finish.at(place) = tile(row, column);
              ++times.at(place);
              tile(row, column) *= factors.view()(first_row + row, first_column + column);
            }
          }
        };
        Island<float> plain(rows, columns, 3, Key{3});
        multiply(a.view(), *Tiles(precision, b.view()), plain.view(), {}, workspace);
        multiply(a.view(), *Tiles(precision, b.view()), c.view(), {}, workspace, {note_and_multiply, factors.view()});
        CHECK(times == std::vector<int>(times.size(), 1));
        CHECK(same_bits(at_finish, content<float>(plain.view())));
        for (Index row = 0; row < rows; ++row) {
          for (Index column = 0; column < columns; ++column) {
            CHECK(c.view()(row, column) == plain.view()(row, column) * factors.view()(row, column));
          }
        }
      }
    }
  }
}

TEST_CASE("a row of a product of low precision does not depend on the rows around it, bit for bit") {
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    for (const Index columns : {1, 16, 32, 83}) {
      const Index rows = 75;
      const Index inner = 130;
      Island<float> a(rows, inner, 3, Key{1});
      Island<float> b(inner, columns, 0, Key{2});
      Island<float> bias(1, columns, 0, Key{3});
      Island<float> whole(rows, columns, 0, Key{4});
      const Tiles tiles(precision, b.view());
      const ProductStart<float> start{bias.view().data, {}};
      multiply(a.view(), *tiles, whole.view(), start, workspace);
      for (const Index cut : {1, 15, 16, 17, 32, 43, 64, 74}) {
        CAPTURE(columns);
        CAPTURE(cut);
        Island<float> part(rows, columns, 5, Key{5});
        multiply(a.view().block(0, 0, cut, inner), *tiles, part.view().block(0, 0, cut, columns), start, workspace);
        multiply(a.view().block(cut, 0, rows - cut, inner), *tiles, part.view().block(cut, 0, rows - cut, columns),
                 start, workspace);
        CHECK(same_bits(content<float>(part.view()), content<float>(whole.view())));
      }
    }
  }
}

TEST_CASE("a column of a product of low precision does not depend on the columns around it, bit for bit") {
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    Island<float> a(35, 50, 0, Key{1});
    Island<float> b(50, 83, 0, Key{2});
    Island<float> whole(35, 83, 0, Key{3});
    multiply(a.view(), *Tiles(precision, b.view()), whole.view(), {}, workspace);
    for (const Index cut : {1, 16, 31, 32, 33, 64}) {
      Island<float> part(35, 83, 5, Key{4});
      multiply(a.view(), *Tiles(precision, b.view().block(0, 0, 50, cut)), part.view().block(0, 0, 35, cut), {},
               workspace);
      multiply(a.view(), *Tiles(precision, b.view().block(0, cut, 50, 83 - cut)),
               part.view().block(0, cut, 35, 83 - cut), {}, workspace);
      CHECK(same_bits(content<float>(part.view()), content<float>(whole.view())));
    }
  }
}

TEST_CASE("what is not finite spoils its own row or column, and no other") {
  const float infinity = std::numeric_limits<float>::infinity();
  Workspace<float> workspace;
  for (const Precision precision : low_precisions) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity}) {
      Island<float> a(40, 50, 0, Key{1});
      Island<float> b(50, 45, 0, Key{2});
      Island<float> c(40, 45, 0, Key{3});
      a.view()(37, 49) = bad;
      b.view()(33, 3) = bad;
      multiply(a.view(), *Tiles(precision, b.view()), c.view(), {}, workspace);
      Index wrong = 0;
      for (Index row = 0; row < 40; ++row) {
        for (Index column = 0; column < 45; ++column) {
          wrong += std::isfinite(c.view()(row, column)) == (row != 37 && column != 3) ? 0 : 1;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a product of low precision leaves the workspace as it found it") {
  Workspace<float> workspace;
  float* const next = workspace.take(1, 1).data;
  workspace.reset();
  Island<float> a(40, 50, 0, Key{1});
  Island<float> a_transposed(50, 40, 0, Key{2});
  Island<float> b(50, 45, 0, Key{3});
  Island<float> c(40, 45, 0, Key{4});
  for (const Precision precision : low_precisions) {
    const Tiles tiles(precision, b.view());
    float* const next_temporary = workspace.temporary().take(1, 1).data;
    workspace.temporary().reset();
    multiply(a.view(), *tiles, c.view(), {}, workspace);
    multiply_transposed_left(precision, a_transposed.view(), b.view(), c.view(), {}, workspace);
    CHECK(workspace.take(1, 1).data == next);
    CHECK(workspace.temporary().take(1, 1).data == next_temporary);
    workspace.reset();
  }
}
