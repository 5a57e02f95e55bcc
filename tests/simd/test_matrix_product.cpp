#include "incontext/simd/matrix_product.hpp"

#include "incontext/core/key.hpp"

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
using incontext::multiply_add;
using incontext::multiply_transposed_left;
using incontext::multiply_transposed_left_add;
using incontext::Stream;

namespace {

// A matrix in the middle of memory that is full of NaN: reading beside it spoils the result, writing beside it shows.
template <class Scalar>
class Island {
 public:
  Island(Index rows, Index columns, Index gap, Key key)
      : rows_(rows),
        columns_(columns),
        stride_(columns + gap),
        memory_(static_cast<std::size_t>((rows + 2) * stride_ + 2 * gap), nan()) {
    Stream stream(key);
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < columns; ++column) {
        view()(row, column) = draw(stream);
      }
    }
  }

  [[nodiscard]] MatrixView<Scalar> view() {
    return {memory_.data() + stride_ + (stride_ - columns_), rows_, columns_, stride_};
  }

  [[nodiscard]] bool surroundings_untouched() {
    const Index begin = stride_ + (stride_ - columns_);
    const Scalar untouched = nan();
    for (Index index = 0; index < static_cast<Index>(memory_.size()); ++index) {
      const Index inside = index - begin;
      const bool belongs = inside >= 0 && inside / stride_ < rows_ && inside % stride_ < columns_;
      if (!belongs && std::memcmp(&memory_[static_cast<std::size_t>(index)], &untouched, sizeof(Scalar)) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  static Scalar nan() { return Scalar(std::numeric_limits<double>::quiet_NaN()); }
  static Scalar draw(Stream& stream) {
    if constexpr (std::is_floating_point_v<Scalar>) {
      return static_cast<Scalar>(stream.normal());
    } else {
      const double real = stream.normal();
      return {real, stream.normal()};
    }
  }

  Index rows_;
  Index columns_;
  Index stride_;
  std::vector<Scalar> memory_;
};

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

template <class Scalar>
std::vector<Scalar> content(MatrixView<const Scalar> view) {
  std::vector<Scalar> values;
  for (Index row = 0; row < view.rows; ++row) {
    values.insert(values.end(), view.row(row), view.row(row) + view.columns);
  }
  return values;
}

template <class Scalar>
bool same_bits(const std::vector<Scalar>& left, const std::vector<Scalar>& right) {
  return left.size() == right.size() &&
         (left.empty() || std::memcmp(left.data(), right.data(), left.size() * sizeof(Scalar)) == 0);
}

// All four products at one size. `gap` elements of NaN lie between the rows.
template <class Scalar>
void check_products(Index rows, Index inner, Index columns, Index gap) {
  CAPTURE(rows);
  CAPTURE(inner);
  CAPTURE(columns);
  CAPTURE(gap);
  Island<Scalar> a(rows, inner, gap, Key{1});
  Island<Scalar> a_transposed(inner, rows, gap, Key{2});
  Island<Scalar> b(inner, columns, gap, Key{3});
  Island<Scalar> c(rows, columns, gap, Key{4});
  const std::vector<Scalar> start = content<Scalar>(c.view());

  multiply_add<Scalar>(a.view(), b.view(), c.view());
  CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), &start));
  multiply<Scalar>(a.view(), b.view(), c.view());
  CHECK(is_product<Scalar>(a.view(), inner, b.view(), c.view(), nullptr));

  const auto transposed = [&](Index row, Index index) { return a_transposed.view()(index, row); };
  multiply_transposed_left<Scalar>(a_transposed.view(), b.view(), c.view());
  CHECK(is_product<Scalar>(transposed, inner, b.view(), c.view(), nullptr));
  const std::vector<Scalar> before = content<Scalar>(c.view());
  multiply_transposed_left_add<Scalar>(a_transposed.view(), b.view(), c.view());
  CHECK(is_product<Scalar>(transposed, inner, b.view(), c.view(), &before));
  CHECK(c.surroundings_untouched());
}

}  // namespace

TEST_CASE_TEMPLATE("every product is the sum that it stands for, at every size of the register tile", Scalar, float,
                   double, std::complex<double>) {
  for (Index rows = 1; rows <= 13; rows += rows < 8 ? 1 : 4) {
    for (const Index columns : {1, 2, 3, 4, 5, 8, 11, 16, 17, 31, 33, 65, 79}) {
      check_products<Scalar>(rows, 5, columns, rows % 3);
    }
  }
}

TEST_CASE_TEMPLATE("every product is the sum that it stands for, at every inner size", Scalar, float, double,
                   std::complex<double>) {
  for (const Index inner : {0, 1, 2, 3, 8, 37, 511, 512, 513, 1030}) {
    check_products<Scalar>(7, inner, 19, 1);
  }
}

TEST_CASE_TEMPLATE("a product over an empty inner dimension is zero, added it changes nothing", Scalar, float, double,
                   std::complex<double>) {
  Island<Scalar> a(3, 0, 1, Key{1});
  Island<Scalar> b(0, 18, 1, Key{2});
  Island<Scalar> c(3, 18, 1, Key{3});
  const std::vector<Scalar> before = content<Scalar>(c.view());
  multiply_add<Scalar>(a.view(), b.view(), c.view());
  CHECK(same_bits(content<Scalar>(c.view()), before));
  multiply<Scalar>(a.view(), b.view(), c.view());
  CHECK(content<Scalar>(c.view()) == std::vector<Scalar>(before.size(), Scalar{}));
}

TEST_CASE_TEMPLATE("a row of a product does not depend on the rows around it, bit for bit", Scalar, float, double) {
  for (const Index columns : {1, 7, 16, 83}) {
    const Index rows = 20;
    const Index inner = 530;
    Island<Scalar> a(rows, inner, 3, Key{1});
    Island<Scalar> b(inner, columns, 0, Key{2});
    Island<Scalar> whole(rows, columns, 0, Key{3});
    multiply<Scalar>(a.view(), b.view(), whole.view());
    for (const Index cut : {1, 3, 6, 11, 19}) {
      CAPTURE(columns);
      CAPTURE(cut);
      Island<Scalar> part(rows, columns, 5, Key{4});
      multiply<Scalar>(a.view().block(0, 0, cut, inner), b.view(), part.view().block(0, 0, cut, columns));
      multiply<Scalar>(a.view().block(cut, 0, rows - cut, inner), b.view(),
                       part.view().block(cut, 0, rows - cut, columns));
      CHECK(same_bits(content<Scalar>(part.view()), content<Scalar>(whole.view())));
    }
  }
}

TEST_CASE_TEMPLATE("A^T B has the bits of the product with the transposed matrix", Scalar, float, double) {
  Island<Scalar> a(525, 9, 2, Key{1});
  Island<Scalar> a_transposed(9, 525, 1, Key{2});
  Island<Scalar> b(525, 45, 0, Key{3});
  Island<Scalar> left(9, 45, 0, Key{4});
  Island<Scalar> right(9, 45, 0, Key{5});
  incontext::transpose<Scalar>(a.view(), a_transposed.view());
  multiply_transposed_left<Scalar>(a.view(), b.view(), left.view());
  multiply<Scalar>(a_transposed.view(), b.view(), right.view());
  CHECK(same_bits(content<Scalar>(left.view()), content<Scalar>(right.view())));
}

TEST_CASE_TEMPLATE("the transpose fills the columns beyond it with zeros", Scalar, float, double,
                   std::complex<double>) {
  for (const Index rows : {1, 3, 7, 8, 9, 20}) {
    for (const Index columns : {1, 2, 8, 13}) {
      for (const Index padding : {0, 1, 15}) {
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(padding);
        Island<Scalar> a(rows, columns, 2, Key{1});
        Island<Scalar> b(columns, rows + padding, 3, Key{2});
        incontext::transpose<Scalar>(a.view(), b.view());
        bool right = true;
        for (Index row = 0; row < columns; ++row) {
          for (Index column = 0; column < rows + padding; ++column) {
            right = right && b.view()(row, column) == (column < rows ? a.view()(column, row) : Scalar{});
          }
        }
        CHECK(right);
        CHECK(b.surroundings_untouched());
      }
    }
  }
}
