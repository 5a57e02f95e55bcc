#pragma once
/// \file
/// The exponential function, of scalars, of complex numbers and of vectors.

#include "incontext/simd/batch.hpp"

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
[[nodiscard]] inline Batch<float> exponential_by_scaling(const Batch<float>& x) {
  const Batch<float> k = _mm512_roundscale_ps(x * Batch<float>(1.44269504F), _MM_FROUND_TO_NEAREST_INT);
  const Batch<float> r =
      _mm512_fnmadd_ps(k, Batch<float>(-2.12194440e-4F), _mm512_fnmadd_ps(k, Batch<float>(0.693359375F), x));
  Batch<float> sum(0x1.6EF19Ep-10F);
  for (const float coefficient : {0x1.131B16p-7F, 0x1.5552AEp-5F, 0x1.55534Ap-3F, 0.5F}) {
    sum = fused_multiply_add(sum, r, Batch<float>(coefficient));
  }
  return _mm512_scalef_ps(fused_multiply_add(sum, r * r, r) + Batch<float>(1.0F), k);
}

#endif

}  // namespace detail

/// exp(value), within two units in the last place; zero or infinite where no float or double holds it, NaN of NaN.
template <class Value>
[[nodiscard]] inline Value exponential(const Value& value) {
  if constexpr (xsimd::is_batch<Value>::value) {
    // Beyond these bounds exp is zero or infinite in float and double, and an exponent would not fit an integer.
    const Value bounded = xsimd::max(Value(-1000), xsimd::min(Value(1000), value));
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Value, Batch<float>>) {
      return detail::exponential_by_scaling(bounded);
    }
#endif
    // Nor does that of a NaN, which the bounds let through; xsimd may convert a double's one number at a time.
    if constexpr (std::is_same_v<Value, Batch<double>>) {
      const auto is_nan = xsimd::isnan(value);
      return xsimd::select(is_nan, value, xsimd::exp(xsimd::select(is_nan, Value(0), bounded)));
    } else {
      return xsimd::exp(bounded);
    }
  } else {
    using std::exp;
    return exp(value);
  }
}

INCONTEXT_NAMESPACE_END
