#include "incontext/simd/batch.hpp"

#include "incontext/core/key.hpp"
#include "simd/normals.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <vector>

using incontext::Batch;
using incontext::batch_size;
using incontext::constant;
using incontext::Index;
using incontext::Key;
using incontext::padded;
using incontext::sum_row;
using incontext::transform_row;
using incontext_tests::normals;

namespace {

template <class Scalar>
bool same_bits(Scalar left, Scalar right) {
  return std::memcmp(&left, &right, sizeof(Scalar)) == 0;
}

// A function with sums, products, a quotient and an exponential: all that the kernels use.
struct Curve {
  template <class Value>
  Value operator()(const Value& x, const Value& gain, const Value& bias) const {
    using std::exp;
    using xsimd::exp;
    return x * gain + bias / (constant<Value>(1.5) + exp(x));
  }
};

}  // namespace

TEST_CASE("float and double have vectors, complex numbers have none") {
  static_assert(incontext::is_vectorised<float> && incontext::is_vectorised<double>);
  static_assert(!incontext::is_vectorised<std::complex<double>> && !incontext::is_vectorised<long double>);
  static_assert(batch_size<std::complex<double>> == 1);
  static_assert(batch_size<float> == 2 * batch_size<double>);
}

TEST_CASE_TEMPLATE("a padded row is the smallest whole number of vectors", Scalar, float, double,
                   std::complex<double>) {
  for (Index count = 0; count < 70; ++count) {
    const Index length = padded<Scalar>(count);
    CHECK(length % batch_size<Scalar> == 0);
    CHECK(length >= count);
    CHECK(length < count + batch_size<Scalar>);
  }
}

TEST_CASE("a constant is a scalar, a complex number, or a vector of copies") {
  CHECK(constant<float>(1.5) == 1.5F);
  CHECK(constant<double>(0.1) == 0.1);
  CHECK(constant<std::complex<double>>(0.1) == std::complex<double>(0.1, 0.0));
  double lanes[static_cast<std::size_t>(batch_size<double>)];
  constant<Batch<double>>(0.1).store_unaligned(lanes);
  for (const double lane : lanes) {
    CHECK(lane == 0.1);
  }
}

TEST_CASE_TEMPLATE("the sum over the lanes takes every lane once", Scalar, float, double) {
  Scalar lanes[static_cast<std::size_t>(batch_size<Scalar>)];
  Scalar expected = 0;
  for (Index lane = 0; lane < batch_size<Scalar>; ++lane) {
    lanes[lane] = static_cast<Scalar>(Index{1} << lane);  // powers of two: no two subsets have the same sum
    expected += lanes[lane];
  }
  CHECK(incontext::reduce_add<Scalar>(Batch<Scalar>::load_unaligned(lanes)) == expected);
}

TEST_CASE_TEMPLATE("transform_row: a value depends neither on where it stands nor on the length of the row", Scalar,
                   float, double) {
  const Index longest = 3 * batch_size<Scalar> + 1;
  const std::vector<Scalar> x = normals<Scalar>(longest, Key{1});
  const std::vector<Scalar> gain = normals<Scalar>(longest, Key{2});
  const std::vector<Scalar> bias = normals<Scalar>(longest, Key{3});
  std::vector<Scalar> alone(static_cast<std::size_t>(longest));
  for (std::size_t index = 0; index < alone.size(); ++index) {
    transform_row(1, &alone[index], Curve{}, x.data() + index, gain.data() + index, bias.data() + index);
  }
  for (Index first = 0; first < 3; ++first) {
    for (Index count = 0; first + count <= longest; ++count) {
      CAPTURE(first);
      CAPTURE(count);
      std::vector<Scalar> result(static_cast<std::size_t>(count) + 2, Scalar{7});
      transform_row(count, result.data() + 1, Curve{}, x.data() + first, gain.data() + first, bias.data() + first);
      // Nothing is written in front of the row or behind it.
      CHECK(result.front() == Scalar{7});
      CHECK(result.back() == Scalar{7});
      bool same = true;
      for (Index index = 0; index < count; ++index) {
        same = same &&
               same_bits(result[static_cast<std::size_t>(index + 1)], alone[static_cast<std::size_t>(first + index)]);
      }
      CHECK(same);
    }
  }
}

TEST_CASE_TEMPLATE("transform_row may write over an input, and computes what the plain expression does", Scalar, float,
                   double, std::complex<double>) {
  for (const Index count : {1, 2, 5, 16, 37}) {
    std::vector<Scalar> values(static_cast<std::size_t>(count));
    std::vector<Scalar> others(values.size());
    for (std::size_t index = 0; index < values.size(); ++index) {
      values[index] = static_cast<Scalar>(static_cast<double>(index) - 3.0);  // integers: exact
      others[index] = static_cast<Scalar>(static_cast<double>(2 * index) + 1.0);
    }
    const std::vector<Scalar> before = values;
    transform_row(
        count, values.data(), [](const auto& left, const auto& right) { return left * right + left; },
        static_cast<const Scalar*>(values.data()), static_cast<const Scalar*>(others.data()));
    for (std::size_t index = 0; index < values.size(); ++index) {
      CHECK(values[index] == before[index] * others[index] + before[index]);
    }
  }
}

TEST_CASE_TEMPLATE("sum_row is a sum", Scalar, float, double) {
  const auto product = [](const auto& left, const auto& right) { return left * right; };
  for (Index count = 0; count < 3 * batch_size<Scalar> + 2; ++count) {
    CAPTURE(count);
    const std::vector<Scalar> left = normals<Scalar>(count, Key{4});
    const std::vector<Scalar> right = normals<Scalar>(count, Key{5});
    long double expected = 0.0L;
    long double magnitude = 0.0L;
    for (std::size_t index = 0; index < left.size(); ++index) {
      const long double term = static_cast<long double>(left[index]) * right[index];
      expected += term;
      magnitude += std::abs(term);
    }
    // gamma_k = k u / (1 - k u) for k = count + 1 roundings (products, then sums in any order), u half an epsilon.
    const long double roundings =
        0.5L * static_cast<long double>(count + 1) * static_cast<long double>(std::numeric_limits<Scalar>::epsilon());
    const Scalar sum = sum_row(count, product, left.data(), right.data());
    CHECK(std::abs(static_cast<long double>(sum) - expected) <= roundings / (1.0L - roundings) * magnitude);
  }
}

TEST_CASE("sum_row of complex numbers is exact where the terms are") {
  const std::vector<std::complex<double>> values = {{1, 2}, {-3, 4}, {5, -6}};
  CHECK(sum_row(
            3, [](const auto& value) { return value; }, values.data()) == std::complex<double>(3, 0));
}

TEST_CASE_TEMPLATE("the largest of the lanes is found wherever it stands", Scalar, float, double) {
  Scalar lanes[static_cast<std::size_t>(batch_size<Scalar>)];
  for (Index largest = 0; largest < batch_size<Scalar>; ++largest) {
    for (Index lane = 0; lane < batch_size<Scalar>; ++lane) {
      lanes[lane] = lane == largest ? Scalar(-1) : static_cast<Scalar>(-2 - lane);
    }
    CHECK(incontext::reduce_max<Scalar>(Batch<Scalar>::load_unaligned(lanes)) == Scalar(-1));
  }
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  CHECK(incontext::reduce_max<Scalar>(Batch<Scalar>(-infinity)) == -infinity);
  CHECK(incontext::reduce_max<Scalar>(Batch<Scalar>(infinity)) == infinity);
}

TEST_CASE_TEMPLATE("the sums and the largest of the lanes of many registers have the bits of each alone", Scalar, float,
                   double) {
  constexpr Index lanes = batch_size<Scalar>;
  const std::vector<Scalar> numbers = normals<Scalar>(lanes * lanes, Key{6});
  Batch<Scalar> rows[static_cast<std::size_t>(lanes)];
  for (Index row = 0; row < lanes; ++row) {
    rows[row] = Batch<Scalar>::load_unaligned(numbers.data() + row * lanes);
  }
  Scalar sums[static_cast<std::size_t>(lanes)];
  Scalar largest[static_cast<std::size_t>(lanes)];
  incontext::reduce_add_each<Scalar>(rows).store_unaligned(sums);
  incontext::reduce_max_each<Scalar>(rows).store_unaligned(largest);
  for (Index row = 0; row < lanes; ++row) {
    CHECK(sums[row] == incontext::reduce_add<Scalar>(rows[row]));
    CHECK(largest[row] == incontext::reduce_max<Scalar>(rows[row]));
  }
}

TEST_CASE_TEMPLATE("lanes are numbered from zero", Scalar, float, double) {
  Scalar lanes[static_cast<std::size_t>(batch_size<Scalar>)];
  incontext::lane_numbers<Scalar>().store_unaligned(lanes);
  for (Index lane = 0; lane < batch_size<Scalar>; ++lane) {
    CHECK(lanes[lane] == static_cast<Scalar>(lane));
  }
}

TEST_CASE_TEMPLATE("every register of a row is visited once and in order, the last one as far as the row goes", Scalar,
                   float, double, std::complex<double>) {
  constexpr Index size = batch_size<Scalar>;
  for (Index count = 0; count <= 3 * size + 1; ++count) {
    CAPTURE(count);
    // Twos lie behind the row: they must neither be loaded nor overwritten.
    std::vector<Scalar> source(static_cast<std::size_t>(count + size), Scalar(2));
    std::fill_n(source.begin(), count, Scalar(1));
    std::vector<Scalar> target(source.size(), Scalar(2));
    std::vector<Index> visited;
    bool beyond_is_zero = true;
    incontext::for_each_register<Scalar>(count, [&](const auto& lanes, Index index) {
      visited.push_back(index);
      Scalar loaded[static_cast<std::size_t>(size)];
      incontext::store<Scalar>(lanes.load(source.data() + index), loaded);
      for (Index lane = 0; lane < size; ++lane) {
        beyond_is_zero = beyond_is_zero && loaded[lane] == (index + lane < count ? Scalar(1) : Scalar(0));
      }
      lanes.store(lanes.load(source.data() + index), target.data() + index);
    });
    std::vector<Index> expected;
    for (Index index = 0; index < count; index += size) {
      expected.push_back(index);
    }
    CHECK(visited == expected);
    CHECK(beyond_is_zero);
    CHECK(target == source);
  }
}

TEST_CASE_TEMPLATE("a product and a sum are rounded once where the processor can, and at most twice elsewhere", Scalar,
                   float, double) {
  // (1 + e)(1 - e) - 1 = -e^2, which is lost if the product is rounded first.
  const Scalar e = std::numeric_limits<Scalar>::epsilon();
  const Batch<Scalar> result =
      incontext::fused_multiply_add(Batch<Scalar>(Scalar(1) + e), Batch<Scalar>(Scalar(1) - e), Batch<Scalar>(-1));
  Scalar lanes[static_cast<std::size_t>(batch_size<Scalar>)];
  result.store_unaligned(lanes);
  for (const Scalar lane : lanes) {
#if defined(__FMA__) || defined(__AVX512F__)
    CHECK(lane == -e * e);
#else
    CHECK((lane == -e * e || lane == Scalar(0)));
#endif
  }
  const std::vector<Scalar> left = normals<Scalar>(batch_size<Scalar>, Key{7});
  const std::vector<Scalar> right = normals<Scalar>(batch_size<Scalar>, Key{8});
  const std::vector<Scalar> addend = normals<Scalar>(batch_size<Scalar>, Key{9});
  incontext::store<Scalar>(incontext::fused_multiply_add(incontext::load(left.data()), incontext::load(right.data()),
                                                         incontext::load(addend.data())),
                           lanes);
  for (std::size_t lane = 0; lane < left.size(); ++lane) {
#if defined(__FMA__) || defined(__AVX512F__)
    CHECK(lanes[lane] == std::fma(left[lane], right[lane], addend[lane]));
#else
    // Half an epsilon of the product, and of the sum.
    const long double product = static_cast<long double>(left[lane]) * right[lane];
    const long double bound = 0.5L * static_cast<long double>(e) * (2.0L * std::abs(product) + std::abs(addend[lane])) *
                              (1.0L + static_cast<long double>(e));
    CHECK(std::abs(static_cast<long double>(lanes[lane]) - (product + addend[lane])) <= bound);
#endif
  }
  // Scalars without vectors take the plain expression.
  using Complex = std::complex<double>;
  CHECK(incontext::fused_multiply_add(Complex(1, 2), Complex(3, -1), Complex(0, 1)) == Complex(5, 6));
}
