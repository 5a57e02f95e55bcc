#include "incontext/simd/matrix_product.hpp"

#include "incontext/core/key.hpp"
#include "incontext/core/workspace.hpp"
#include "incontext/simd/row_kernels.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <vector>

using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::multiply;
using incontext::multiply_transposed_left;
using incontext::pack;
using incontext::PackedPanels;
using incontext::ProductPart;
using incontext::ProductStart;
using incontext::Stream;
using incontext::Workspace;
using incontext_tests::content;
using incontext_tests::Island;
using incontext_tests::same_bits;

namespace {

template <class Scalar>
struct Wide {
  using type = long double;
  static constexpr double epsilon = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  // Roundings that a term of the sum may pass, for every step of the inner dimension.
  static constexpr double roundings = 1.0;
};
template <>
struct Wide<std::complex<double>> {
  using type = std::complex<long double>;
  static constexpr double epsilon = std::numeric_limits<double>::epsilon();
  // Each part is a real sum of twice the length, of terms that together are at most |a| |b|; sqrt(2) for two parts.
  static constexpr double roundings = 2.0 * 1.4142135623730951;
};

// Whether C is (start +) A B, every element within gamma_k = k u / (1 - k u) of |start| + |A| |B|, u half an epsilon
// (Higham, "Accuracy and stability of numerical algorithms", 3.5). A sum of `inner` products and a start rounds each
// term at most inner + 1 times.
template <class Scalar, class Left>
bool is_product(Left&& a, Index inner, MatrixView<const Scalar> b, MatrixView<const Scalar> c,
                const std::vector<Scalar>* start) {
  using Long = typename Wide<Scalar>::type;
  const double k = Wide<Scalar>::roundings * 0.5 * Wide<Scalar>::epsilon * static_cast<double>(inner + 1);
  const long double gamma = k / (1.0 - k);
  for (Index row = 0; row < c.rows; ++row) {
    for (Index column = 0; column < c.columns; ++column) {
      Long sum{};
      if (start != nullptr) {
        sum = Long((*start)[static_cast<std::size_t>(row * c.columns + column)]);
      }
      long double magnitude = std::abs(sum);
      for (Index index = 0; index < inner; ++index) {
        const Long term = Long(a(row, index)) * Long(b(index, column));
        sum += term;
        magnitude += std::abs(term);
      }
      // Written so that a NaN is a difference.
      if (!(std::abs(Long(c(row, column)) - sum) <= gamma * magnitude)) {
        return false;
      }
    }
  }
  return true;
}

// The panels of a matrix, with the memory that they lie in.
template <class Scalar>
class Panels {
 public:
  explicit Panels(MatrixView<const Scalar> b) : memory_(size(b.rows, b.columns)), panels_(pack(b, memory_.data())) {}
  [[nodiscard]] const PackedPanels<Scalar>& operator*() const { return panels_; }

 private:
  static std::size_t size(Index inner, Index columns) {
    return static_cast<std::size_t>(PackedPanels<Scalar>::size(inner, columns));
  }
  incontext::AlignedVector<Scalar> memory_;
  PackedPanels<Scalar> panels_;
};

// All products at one size. `gap` elements of NaN lie between the rows.
template <class Scalar>
void check_products(Index rows, Index inner, Index columns, Index gap) {
  CAPTURE(rows);
  CAPTURE(inner);
  CAPTURE(columns);
  CAPTURE(gap);
  Workspace<Scalar> workspace;
  Island<Scalar> a(rows, inner, gap, Key{1});
  Island<Scalar> a_transposed(inner, rows, gap, Key{2});
  Island<Scalar> b(inner, columns, gap, Key{3});
  Island<Scalar> c(rows, columns, gap, Key{4});
  Island<Scalar> bias(1, columns, 0, Key{5});
  const Panels<Scalar> panels(b.view());
  const std::vector<Scalar> start = content<Scalar>(c.view());

  multiply<Scalar>(a.view(), *panels, c.view(), {nullptr, c.view()});
  CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), &start));
  multiply<Scalar>(a.view(), *panels, c.view());
  CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), nullptr));
  multiply<Scalar>(a.view(), *panels, c.view(), {bias.view().data});
  std::vector<Scalar> biases;
  for (Index row = 0; row < rows; ++row) {
    biases.insert(biases.end(), bias.view().data, bias.view().data + columns);
  }
  CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), &biases));

  const auto transposed = [&](Index row, Index index) { return a_transposed.view()(index, row); };
  multiply_transposed_left<Scalar>(a_transposed.view(), b.view(), c.view(), {}, workspace);
  CHECK(is_product<Scalar>(transposed, inner, b.view(), c.view(), nullptr));
  const std::vector<Scalar> before = content<Scalar>(c.view());
  multiply_transposed_left<Scalar>(a_transposed.view(), b.view(), c.view(), {nullptr, c.view()}, workspace);
  CHECK(is_product<Scalar>(transposed, inner, b.view(), c.view(), &before));
  CHECK(c.surroundings_untouched());
}

}  // namespace

TEST_CASE_TEMPLATE("every product is the sum that it stands for, at every size of the register tile", Scalar, float,
                   double, std::complex<double>) {
  for (Index rows = 1; rows <= 26; rows += rows < 13 ? 1 : 6) {
    for (const Index columns : {1, 2, 3, 4, 5, 8, 11, 16, 17, 31, 33, 65, 79}) {
      check_products<Scalar>(rows, 5, columns, rows % 3);
    }
  }
}

TEST_CASE_TEMPLATE("every product is the sum that it stands for, at every inner size", Scalar, float, double,
                   std::complex<double>) {
  for (const Index inner : {0, 1, 2, 3, 8, 37, 255, 256, 257, 511, 512, 513, 1030}) {
    check_products<Scalar>(7, inner, 19, 1);
  }
}

TEST_CASE_TEMPLATE("a bias and an addend are added together, and every tile is finished once", Scalar, float, double,
                   std::complex<double>) {
  for (const Index inner : {0, 3, 300}) {
    Island<Scalar> a(29, inner, 1, Key{1});
    Island<Scalar> b(inner, 43, 2, Key{2});
    Island<Scalar> addend(29, 43, 3, Key{3});
    Island<Scalar> bias(1, 43, 0, Key{4});
    Island<Scalar> c(29, 43, 1, Key{5});
    Island<Scalar> doubled(29, 43, 0, Key{6});
    const Panels<Scalar> panels(b.view());
    const ProductStart<Scalar> start{bias.view().data, addend.view()};
    multiply<Scalar>(a.view(), *panels, c.view(), start);
    const auto twice = [&](MatrixView<Scalar> tile, Index row, Index column) {
      CHECK(tile.data == doubled.view().row(row) + column);
      for (Index within = 0; within < tile.rows; ++within) {
        incontext::scale_row(tile.columns, Scalar(2), tile.row(within));
      }
    };
    multiply<Scalar>(a.view(), *panels, doubled.view(), start, {}, {twice});
    std::vector<Scalar> starts;
    for (Index row = 0; row < 29; ++row) {
      for (Index column = 0; column < 43; ++column) {
        starts.push_back(addend.view()(row, column) + bias.view()(0, column));
        CHECK(doubled.view()(row, column) == Scalar(2) * c.view()(row, column));
      }
    }
    CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), &starts));
  }
}

TEST_CASE_TEMPLATE("what a product asks for ahead changes nothing", Scalar, float, double, std::complex<double>) {
  // Inner sizes below the rows of a tile, of one block and of two; a B that leaves the first-level cache, and one that
  // does not; with an addend that the next tile starts from, and without.
  for (const Index inner : {0, 1, 5, 140, 400}) {
    for (const Index columns : {5, 43, 320}) {
      Island<Scalar> a(29, inner, 1, Key{1});
      Island<Scalar> b(inner, columns, 2, Key{2});
      Island<Scalar> factors(29, columns, 3, Key{3});
      const std::vector<Scalar> before = content<Scalar>(factors.view());
      Island<Scalar> plain(29, columns, 1, Key{4});
      Island<Scalar> fused(29, columns, 5, Key{4});
      const auto multiply_by_factors = [&](const MatrixView<Scalar>& tile, Index row, Index column) {
        for (Index within = 0; within < tile.rows; ++within) {
          for (Index index = 0; index < tile.columns; ++index) {
            tile(within, index) *= factors.view()(row + within, column + index);
          }
        }
      };
      const Panels<Scalar> panels(b.view());
      for (const bool has_addend : {false, true}) {
        const auto start = [&](MatrixView<const Scalar> addend) {
          return ProductStart<Scalar>{nullptr, has_addend ? addend : MatrixView<const Scalar>{}};
        };
        multiply<Scalar>(a.view(), *panels, plain.view(), start(plain.view()));
        multiply_by_factors(plain.view(), 0, 0);
        multiply<Scalar>(a.view(), *panels, fused.view(), start(fused.view()), {},
                         {multiply_by_factors, factors.view()});
        CHECK(same_bits(content<Scalar>(fused.view()), content<Scalar>(plain.view())));
      }
      CHECK(same_bits(content<Scalar>(factors.view()), before));
      CHECK(fused.surroundings_untouched());
    }
  }
}

TEST_CASE_TEMPLATE("a product skips what its part leaves out, and has the bits of the whole where that is zero", Scalar,
                   float, double, std::complex<double>) {
  for (const Index size : {1, 13, 40, 81, 300, 530}) {
    CAPTURE(size);
    Workspace<Scalar> workspace;
    // The lower triangle of a product and of its operands, as causal attention has them.
    const auto lower_triangle = [&](Index, Index last) { return ProductPart{0, (std::min)(last, size), 20}; };
    const auto below_diagonal = [&](Index first, Index) { return ProductPart{first, size, 20}; };
    const auto left_columns = [](Index, Index last) { return ProductPart{0, 7, last}; };
    Island<Scalar> lower(size, size, 1, Key{1});
    for (Index row = 0; row < size; ++row) {
      std::fill(lower.view().row(row) + row + 1, lower.view().row(row) + size, Scalar{});
    }
    Island<Scalar> b(size, 20, 0, Key{2});
    Island<Scalar> whole(size, 20, 0, Key{3});
    Island<Scalar> part(size, 20, 0, Key{4});
    const Panels<Scalar> panels(b.view());
    multiply<Scalar>(lower.view(), *panels, whole.view());
    multiply<Scalar>(lower.view(), *panels, part.view(), {}, lower_triangle);
    CHECK(content<Scalar>(part.view()) == content<Scalar>(whole.view()));
    multiply_transposed_left<Scalar>(lower.view(), b.view(), whole.view(), {}, workspace);
    multiply_transposed_left<Scalar>(lower.view(), b.view(), part.view(), {}, workspace, below_diagonal);
    CHECK(content<Scalar>(part.view()) == content<Scalar>(whole.view()));

    Island<Scalar> a(size, 7, 0, Key{5});
    Island<Scalar> wide(7, size, 0, Key{6});
    Island<Scalar> scores(size, size, 0, Key{7});
    Island<Scalar> left(size, size, 0, Key{8});
    const Panels<Scalar> wide_panels(wide.view());
    multiply<Scalar>(a.view(), *wide_panels, scores.view());
    multiply<Scalar>(a.view(), *wide_panels, left.view(), {}, left_columns);
    bool same = true;
    for (Index row = 0; row < size; ++row) {
      for (Index column = 0; column <= row; ++column) {
        same = same && scores.view()(row, column) == left.view()(row, column);
      }
    }
    CHECK(same);
  }
}

TEST_CASE_TEMPLATE("a row of a product does not depend on the rows around it, bit for bit", Scalar, float, double) {
  for (const Index columns : {1, 7, 16, 83}) {
    const Index rows = 20;
    const Index inner = 530;
    Island<Scalar> a(rows, inner, 3, Key{1});
    Island<Scalar> b(inner, columns, 0, Key{2});
    Island<Scalar> whole(rows, columns, 0, Key{3});
    const Panels<Scalar> panels(b.view());
    multiply<Scalar>(a.view(), *panels, whole.view());
    for (const Index cut : {1, 3, 6, 11, 19}) {
      CAPTURE(columns);
      CAPTURE(cut);
      Island<Scalar> part(rows, columns, 5, Key{4});
      multiply<Scalar>(a.view().block(0, 0, cut, inner), *panels, part.view().block(0, 0, cut, columns));
      multiply<Scalar>(a.view().block(cut, 0, rows - cut, inner), *panels,
                       part.view().block(cut, 0, rows - cut, columns));
      CHECK(same_bits(content<Scalar>(part.view()), content<Scalar>(whole.view())));
    }
  }
}

TEST_CASE_TEMPLATE("A^T B has the bits of the product with the transposed matrix, and so have transposed panels",
                   Scalar, float, double) {
  // An A that is read where it lies, since it is small or since C has few columns, and one that is copied in blocks.
  for (const Index rows : {5, 20, 101}) {
    CAPTURE(rows);
    if (rows != 20) {  // in which panels are wide enough only on some processors
      REQUIRE(incontext::detail::is_close<Scalar>(525, rows, 45) == (rows < 101));
    }
    Workspace<Scalar> workspace;
    Island<Scalar> a(525, rows, 2, Key{1});
    Island<Scalar> a_transposed(rows, 525, 1, Key{2});
    Island<Scalar> b(525, 45, 0, Key{3});
    Island<Scalar> b_transposed(45, 525, 4, Key{4});
    for (Index row = 0; row < 525; ++row) {
      for (Index column = 0; column < rows; ++column) {
        a_transposed.view()(column, row) = a.view()(row, column);
      }
      for (Index column = 0; column < 45; ++column) {
        b_transposed.view()(column, row) = b.view()(row, column);
      }
    }
    Island<Scalar> left(rows, 45, 0, Key{4});
    Island<Scalar> right(rows, 45, 0, Key{5});
    Island<Scalar> turned(rows, 45, 0, Key{6});
    multiply_transposed_left<Scalar>(a.view(), b.view(), left.view(), {}, workspace);
    multiply<Scalar>(a_transposed.view(), *Panels<Scalar>(b.view()), right.view());
    CHECK(same_bits(content<Scalar>(left.view()), content<Scalar>(right.view())));
    incontext::AlignedVector<Scalar> memory(static_cast<std::size_t>(PackedPanels<Scalar>::size(525, 45)));
    multiply<Scalar>(a_transposed.view(),
                     pack<Scalar>(b_transposed.view(), memory.data(), incontext::Orientation::transposed),
                     turned.view());
    CHECK(same_bits(content<Scalar>(turned.view()), content<Scalar>(right.view())));
  }
}
