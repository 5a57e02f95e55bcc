#include "incontext/simd/registers.hpp"

#include "incontext/core/key.hpp"
#include "simd/normals.hpp"

#include <doctest/doctest.h>

#include <complex>
#include <type_traits>
#include <vector>

using incontext::batch_size;
using incontext::for_each_place;
using incontext::for_each_registers;
using incontext::Index;
using incontext::Key;
using incontext::MatrixView;
using incontext::Registers;
using incontext::SideBySide;
using incontext_tests::normals;

namespace {

// Of plain numbers and of registers alike.
template <class Value>
Value formula(const Value& x, const Value& y, const Value& z) {
  return fused_multiply_add(x, y, z) - x / y;
}

}  // namespace

TEST_CASE_TEMPLATE("registers in step have the bits of each alone", Scalar, float, double, std::complex<double>) {
  using incontext::fused_multiply_add;
  constexpr int count = 3;
  constexpr Index lanes = batch_size<Scalar>;
  const std::vector<Scalar> x = normals<Scalar>(count * lanes, Key{1});
  const std::vector<Scalar> y = normals<Scalar>(count * lanes, Key{2});
  const Scalar z(0.75F);
  const auto load = [](const std::vector<Scalar>& from) { return SideBySide<Scalar, count>::load(from.data()); };
  std::vector<Scalar> together(x.size());
  const Registers<Scalar, count> both = formula(load(x), load(y), Registers<Scalar, count>(z));
  SideBySide<Scalar, count>::store(both + load(x) * Registers<Scalar, count>(z), together.data());
  std::vector<Scalar> alone(x.size());
  for (Index place = 0; place < count; ++place) {
    using One = incontext::Register<Scalar>;
    const One x_alone = incontext::load(x.data() + place * lanes);
    const One y_alone = incontext::load(y.data() + place * lanes);
    const One result = fused_multiply_add(x_alone, y_alone, One(z)) - x_alone / y_alone;
    incontext::store<Scalar>(result + x_alone * One(z), alone.data() + place * lanes);
  }
  CHECK(together == alone);
}

TEST_CASE("in_step of single values is the operation") {
  CHECK(incontext::in_step([](int one, int other) { return one - other; }, 5, 3) == 2);
  static_assert(!incontext::is_registers<float> && incontext::is_registers<Registers<float, 2>>);
}

TEST_CASE_TEMPLATE("for_each_registers visits every number once, in order", Scalar, float, double,
                   std::complex<double>) {
  for (Index count = 0; count <= 19 * batch_size<Scalar>; ++count) {
    CAPTURE(count);
    const std::vector<Scalar> source = normals<Scalar>(count + 1, Key{3});
    constexpr Scalar untouched(-1.0F);
    std::vector<Scalar> target(source.size(), untouched);
    Index next = 0;
    for_each_registers<Scalar, 8>(count, [&](const auto& lanes, Index index) {
      CHECK(index == next);
      const auto values = lanes.load(source.data() + index);
      using Values = std::decay_t<decltype(values)>;
      if constexpr (incontext::is_registers<Values>) {
        next += Values::count * batch_size<Scalar>;
      } else {
        next += batch_size<Scalar>;
      }
      lanes.store(values, target.data() + index);
    });
    CHECK(next >= count);
    CHECK(target.back() == untouched);
    target.back() = source.back();
    CHECK(target == source);
  }
}

TEST_CASE_TEMPLATE("for_each_place visits every element of a matrix once", Scalar, float, double,
                   std::complex<double>) {
  for (Index rows = 0; rows <= 9; ++rows) {
    for (Index columns = 0; columns <= 5 * batch_size<Scalar> + 1; ++columns) {
      CAPTURE(rows);
      CAPTURE(columns);
      const Index stride = columns + 3;
      const std::vector<Scalar> from = normals<Scalar>(rows * columns, Key{4});
      std::vector<Scalar> visits(static_cast<std::size_t>(rows * stride));
      const MatrixView<const Scalar> source(from.data(), rows, columns);
      const MatrixView<Scalar> target(visits.data(), rows, columns, stride);
      for_each_place<Scalar>(rows, columns, [&](const auto& place) {
        place.store(place.load(MatrixView<const Scalar>(target)) + place.load(source), target);
      });
      std::vector<Scalar> expected(visits.size());
      for (Index row = 0; row < rows; ++row) {
        for (Index column = 0; column < columns; ++column) {
          expected[static_cast<std::size_t>(row * stride + column)] = source(row, column);
        }
      }
      CHECK(visits == expected);
    }
  }
}
