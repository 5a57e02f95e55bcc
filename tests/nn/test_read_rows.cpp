#include "incontext/nn/read_rows.hpp"

#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <vector>

using incontext::AlignedVector;
using incontext::gather;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::ReadRows;
using incontext::ReadTokens;
using incontext::scatter;
using incontext::SequenceShape;
using incontext::shape_of_read;
using incontext::Workspace;
using incontext_tests::normals;

TEST_CASE("without a name all rows are read, and nothing is copied") {
  const AlignedVector<double> values = normals(6 * 5, Key{1});
  const MatrixView<const double> all(values.data(), 6, 5);
  Workspace<double> workspace;
  CHECK(gather(all, {}, workspace).data == all.data);
  CHECK(workspace.bytes() == 0);
  CHECK(shape_of_read({2, 3}, {}).sequences == 2);
  CHECK(shape_of_read({2, 3}, {}).tokens == 3);
}

TEST_CASE("rows are gathered from where they lie and scattered back between zeros") {
  const AlignedVector<double> values = normals(6 * 7, Key{1});
  const MatrixView<const double> all(values.data(), 6, 5, 7);
  const std::vector<Index> read = {0, 2, 5};
  Workspace<double> workspace;
  const MatrixView<const double> some = gather(all, read, workspace);
  CHECK(shape_of_read({2, 3}, read).rows() == 3);
  REQUIRE(some.rows == 3);
  REQUIRE(some.columns == 5);
  AlignedVector<double> back(6 * 5, 9.0);
  scatter(some, read, MatrixView<double>(back.data(), 6, 5));
  for (Index row = 0; row < 6; ++row) {
    const bool is_read = row == 0 || row == 2 || row == 5;
    for (Index column = 0; column < 5; ++column) {
      CHECK(back[static_cast<std::size_t>(row * 5 + column)] == (is_read ? all(row, column) : 0.0));
    }
  }
  for (Index column = 0; column < 5; ++column) {
    CHECK(some(1, column) == all(2, column));
  }
}

TEST_CASE("scattering is the transpose of gathering") {
  const AlignedVector<double> x = normals(9 * 3, Key{1});
  const AlignedVector<double> y = normals(4 * 3, Key{2});
  const std::vector<Index> read = {1, 2, 6, 8};
  Workspace<double> workspace;
  const MatrixView<const double> some = gather(MatrixView<const double>(x.data(), 9, 3), read, workspace);
  AlignedVector<double> back(9 * 3);
  scatter(MatrixView<const double>(y.data(), 4, 3), read, MatrixView<double>(back.data(), 9, 3));
  double left = 0.0;
  double right = 0.0;
  for (Index row = 0; row < 4; ++row) {
    for (Index column = 0; column < 3; ++column) {
      left += some(row, column) * y[static_cast<std::size_t>(row * 3 + column)];
    }
  }
  for (std::size_t index = 0; index < back.size(); ++index) {
    right += back[index] * x[index];
  }
  CHECK(left == right);  // the same terms in the same order, with zeros between
}

TEST_CASE("the tokens of a sequence that are read are those of its rows") {
  // Of sequences of 4 tokens: two, none, the last, all.
  const std::vector<Index> read = {1, 2, 11, 12, 13, 14, 15};
  const std::vector<std::vector<Index>> expected = {{1, 2}, {}, {3}, {0, 1, 2, 3}};
  Index first = 0;
  for (std::size_t sequence = 0; sequence < expected.size(); ++sequence) {
    const ReadTokens tokens(read, static_cast<Index>(sequence) * 4, 4, first);
    CHECK(tokens.first() == first);
    REQUIRE(tokens.count() == static_cast<Index>(expected[sequence].size()));
    for (Index token = 0; token < 4; ++token) {
      Index place = 0;
      while (place < tokens.count() && expected[sequence][static_cast<std::size_t>(place)] < token) {
        ++place;
      }
      CHECK(tokens.place_from(token) == place);
    }
    for (Index place = 0; place < tokens.count(); ++place) {
      CHECK(tokens.token(place) == expected[sequence][static_cast<std::size_t>(place)]);
    }
    first += tokens.count();
  }
  CHECK(first == static_cast<Index>(read.size()));
}

TEST_CASE("without a name every token is read") {
  const ReadTokens tokens({}, 8, 4, 8);
  CHECK(tokens.first() == 8);
  CHECK(tokens.count() == 4);
  CHECK(tokens.token(3) == 3);
  CHECK(tokens.place_from(2) == 2);
}
