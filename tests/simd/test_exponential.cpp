#include "incontext/simd/exponential.hpp"

#include "incontext/core/key.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

using incontext::Batch;
using incontext::exponential;
using incontext::Index;
using incontext::Key;
using incontext::Stream;
using incontext_tests::same_bits;

namespace {

template <class Scalar>
std::vector<Scalar> exponentials(const std::vector<Scalar>& values) {
  std::vector<Scalar> result(values.size());
  incontext::transform_row(
      static_cast<Index>(values.size()), result.data(), [](const auto& value) { return exponential(value); },
      values.data());
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("the exponential is good to two units in the last place", Scalar, float, double) {
  // The argument is reduced by a multiple of ln 2 in two parts and a minimax polynomial or quotient evaluated: an error
  // of one unit, as xsimd states. Without a fused multiply-add the reduction rounds once more. One unit in the last
  // place is at most one epsilon of the value.
  const double largest = std::log(static_cast<double>(std::numeric_limits<Scalar>::max())) - 0.5;
  const double smallest = std::log(static_cast<double>(std::numeric_limits<Scalar>::min())) + 0.5;
  std::vector<Scalar> x(20011);
  Stream stream(Key{6});
  for (Scalar& value : x) {
    value = static_cast<Scalar>(stream.uniform(smallest, largest));
  }
  const std::vector<Scalar> result = exponentials(x);
  long double worst = 0.0L;
  for (std::size_t index = 0; index < x.size(); ++index) {
    const long double expected = std::exp(static_cast<long double>(x[index]));
    worst = (std::max)(worst, std::abs(static_cast<long double>(result[index]) - expected) / expected);
  }
  CHECK(worst <= 2.0L * static_cast<long double>(std::numeric_limits<Scalar>::epsilon()));
}

TEST_CASE_TEMPLATE("the exponential of registers in step has the bits of each alone", Scalar, float, double) {
  using Several = incontext::SideBySide<Scalar, 4>;
  std::vector<Scalar> x(static_cast<std::size_t>(4 * incontext::batch_size<Scalar>));
  Stream(Key{7}).fill_normal(x.begin(), x.end(), 30.0);
  x[0] = std::numeric_limits<Scalar>::infinity();
  x[1] = -std::numeric_limits<Scalar>::infinity();
  std::vector<Scalar> in_step(x.size());
  Several::store(exponential(Several::load(x.data())), in_step.data());
  CHECK(in_step == exponentials(x));
}

TEST_CASE_TEMPLATE("the exponential is zero, infinite or NaN where no number is", Scalar, float, double) {
  constexpr Scalar infinity = std::numeric_limits<Scalar>::infinity();
  constexpr Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  constexpr Scalar most = std::numeric_limits<Scalar>::max();
  const std::vector<Scalar> result =
      exponentials(std::vector<Scalar>{0, Scalar(-0.0), infinity, most, 800, -infinity, -most, -800, nan, -nan});
  CHECK(result[0] == Scalar(1));
  CHECK(result[1] == Scalar(1));
  for (const std::size_t index : {2U, 3U, 4U}) {
    CHECK(result[index] == infinity);
  }
  for (const std::size_t index : {5U, 6U, 7U}) {
    CHECK(same_bits(std::vector<Scalar>{result[index]}, std::vector<Scalar>{0}));
  }
  CHECK(std::isnan(result[8]));
  CHECK(std::isnan(result[9]));
}

TEST_CASE("vectors of every width have the bits of xsimd's exponential, where results are normal numbers") {
  // Every 1009th of all floats.
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 1009) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const bool is_normal = value > -87.33F && value < 88.37F;
    if (is_normal || std::abs(value) > 104.0F) {  // exp(-104) rounds to zero
      x.push_back(value);
    }
  }
  std::vector<float> expected(x.size());
#if defined(__AVX512F__)
  // xsimd 8 multiplies and adds where vectors are that wide, and leaves it to the compiler to fuse the two.
  std::transform(x.begin(), x.end(), expected.begin(), [](float value) {
    const float bounded = (std::max)(-1000.0F, (std::min)(1000.0F, value));
    const float k = std::nearbyint(bounded * 1.44269504F);
    const float r = std::fma(-k, -2.12194440e-4F, std::fma(-k, 0.693359375F, bounded));
    float sum = 0x1.6EF19Ep-10F;
    for (const float coefficient : {0x1.131B16p-7F, 0x1.5552AEp-5F, 0x1.55534Ap-3F, 0.5F}) {
      sum = std::fma(sum, r, coefficient);
    }
    return std::ldexp(std::fma(sum, r * r, r) + 1.0F, static_cast<int>(k));
  });
#else
  incontext::transform_row(
      static_cast<Index>(x.size()), expected.data(),
      [](const auto& value) {
        return xsimd::exp(xsimd::max(Batch<float>(-1000), xsimd::min(Batch<float>(1000), value)));
      },
      static_cast<const float*>(x.data()));
#endif
  CHECK(same_bits(exponentials(x), expected));
}

TEST_CASE("scalars and complex numbers have the standard library's exponential") {
  CHECK(exponential(1.25) == std::exp(1.25));
  CHECK(exponential(std::complex<double>(0.5, 2.0)) == std::exp(std::complex<double>(0.5, 2.0)));
}
