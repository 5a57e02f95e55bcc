#pragma once
/// \file
/// The exponential function, of scalars, of complex numbers, of vectors and of several in step.

#include "incontext/simd/batch.hpp"
#include "incontext/simd/registers.hpp"

#include <cmath>
#include <complex>
#include <type_traits>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

#if defined(__AVX512F__)

/// exp(x) = 2^k exp(r) for |x| <= 1000, with k the integer next to x / ln 2 and r = x - k ln 2, where ln 2 is the sum
/// of two floats of which the first has so few bits that k times it is exact. The polynomial is that of xsimd, every
/// product fused with the sum that it goes into: the same bits as in narrower vectors, but for results below the
/// smallest normal number, which those round to zero where we do not, and between 88.38 and the largest, 88.72, which
/// those take for infinite.
template <class Value>
[[nodiscard]] INCONTEXT_ALWAYS_INLINE inline Value exponential_by_scaling(const Value& x) {
  const Value k = in_step(
      [](const Batch<float>& quotient) -> Batch<float> {
        return _mm512_roundscale_ps(quotient, _MM_FROUND_TO_NEAREST_INT);
      },
      x* Value(1.44269504F));
  const Value r = fused_multiply_add(k, Value(2.12194440e-4F), fused_multiply_add(k, Value(-0.693359375F), x));
  Value sum(0x1.6EF19Ep-10F);
  for (const float coefficient : {0x1.131B16p-7F, 0x1.5552AEp-5F, 0x1.55534Ap-3F, 0.5F}) {
    sum = fused_multiply_add(sum, r, Value(coefficient));
  }
  return in_step([](const Batch<float>& fraction,
                    const Batch<float>& exponent) -> Batch<float> { return _mm512_scalef_ps(fraction, exponent); },
                 fused_multiply_add(sum, r * r, r) + Value(1.0F), k);
}

#endif

}  // namespace detail

/// exp(value), within two units in the last place; zero or infinite where no float or double holds it, NaN of NaN.
template <class Value>
[[nodiscard]] INCONTEXT_ALWAYS_INLINE inline Value exponential(const Value& value) {
  if constexpr (is_registers<Value> || xsimd::is_batch<Value>::value) {
    using Scalar = typename Value::value_type;
    // Beyond these bounds exp is zero or infinite in float and double, and an exponent would not fit an integer.
    const auto bounded = [](const auto& each) {
      using Each = std::decay_t<decltype(each)>;
      return xsimd::max(Each(Scalar(-1000)), xsimd::min(Each(Scalar(1000)), each));
    };
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Scalar, float>) {
      return detail::exponential_by_scaling(in_step(bounded, value));
    }
#endif
    if constexpr (is_registers<Value>) {
      return in_step([](const auto& each) { return exponential(each); }, value);
    } else if constexpr (std::is_same_v<Scalar, double>) {
      // Nor does that of a NaN, which the bounds let through; xsimd may convert a double's one number at a time.
      const auto is_nan = xsimd::isnan(value);
      return xsimd::select(is_nan, value, xsimd::exp(xsimd::select(is_nan, Value(0), bounded(value))));
    } else {
      return xsimd::exp(bounded(value));
    }
  } else {
    using std::exp;
    return exp(value);
  }
}

INCONTEXT_NAMESPACE_END
