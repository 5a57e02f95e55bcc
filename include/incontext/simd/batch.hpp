#pragma once
/// \file
/// The shim over xsimd: the one place that knows its renamings, and which scalars have vectors at all.

#include "incontext/core/config.hpp"

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <type_traits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/// Unrolls the loop that follows, so that an array indexed by its counter lives in registers.
#if defined(__clang__)
#define INCONTEXT_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define INCONTEXT_UNROLL _Pragma("GCC unroll 16")
#else
#define INCONTEXT_UNROLL
#endif

/// For functions of more registers than a call may hand over: the others would go through memory.
#if defined(__GNUC__)
#define INCONTEXT_ALWAYS_INLINE __attribute__((always_inline))
#else
#define INCONTEXT_ALWAYS_INLINE
#endif

INCONTEXT_NAMESPACE_BEGIN

/// Whether kernels use vectors for this scalar; the others (complex numbers in tests) take plain loops.
template <class Scalar>
inline constexpr bool is_vectorised = std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>;

/// A vector register of scalars.
template <class Scalar>
using Batch = xsimd::batch<Scalar>;

/// Scalars in a vector register; 1 for scalars without vectors.
template <class Scalar>
inline constexpr Index batch_size = 1;
template <>
inline constexpr Index batch_size<float> = static_cast<Index>(xsimd::batch<float>::size);
template <>
inline constexpr Index batch_size<double> = static_cast<Index>(xsimd::batch<double>::size);

/// What a kernel computes in: a vector register where the scalar has one, the scalar itself where it has none.
template <class Scalar>
using Register = typename std::conditional_t<is_vectorised<Scalar>, std::type_identity<Batch<Scalar>>,
                                             std::type_identity<Scalar>>::type;

/// The register that starts at `source`, aligned or not.
template <class Scalar>
[[nodiscard]] inline Register<Scalar> load(const Scalar* source) {
  if constexpr (is_vectorised<Scalar>) {
    return Batch<Scalar>::load_unaligned(source);
  } else {
    return *source;
  }
}

/// Writes a register to `target`, aligned or not.
template <class Scalar>
inline void store(const Register<Scalar>& values, Scalar* target) {
  if constexpr (is_vectorised<Scalar>) {
    values.store_unaligned(target);
  } else {
    *target = values;
  }
}

/// left * right + addend, rounded once where the processor can.
template <class Value>
[[nodiscard]] inline Value fused_multiply_add(const Value& left, const Value& right, const Value& addend) {
#if defined(__AVX512F__)
  // xsimd 8 has no fused operation of this width: it multiplies and adds.
  if constexpr (std::is_same_v<Value, Batch<float>>) {
    return _mm512_fmadd_ps(left, right, addend);
  } else if constexpr (std::is_same_v<Value, Batch<double>>) {
    return _mm512_fmadd_pd(left, right, addend);
  } else
#endif
      if constexpr (xsimd::is_batch<Value>::value) {
    return xsimd::fma(left, right, addend);
  } else {
    return left * right + addend;
  }
}

/// Asks for the cache line at `address`: it is read or written soon.
inline void prefetch(const void* address) {
#if defined(__GNUC__)
  asm volatile("");  // GCC takes a function that only asks for lines for one without effects, and drops its calls
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

/// The compiler no longer knows what a pointer was computed from, so it keeps this one in a register, and none of its
/// own choice beside it.
template <class Type>
inline void forget_origin(Type*& pointer) {
#if defined(__GNUC__)
  asm("" : "+r"(pointer));
#else
  static_cast<void>(pointer);
#endif
}

/// A constant of a formula, as a scalar, a complex number or a vector of copies.
template <class Value>
[[nodiscard]] inline Value constant(double value) {
  if constexpr (std::is_floating_point_v<Value>) {
    return static_cast<Value>(value);
  } else {
    return Value(static_cast<typename Value::value_type>(value));
  }
}

/// The smallest multiple of the batch size that holds `count` scalars: padded rows need no tail loop.
template <class Scalar>
[[nodiscard]] constexpr Index padded(Index count) {
  return (count + batch_size<Scalar> - 1) / batch_size<Scalar> * batch_size<Scalar>;
}

/// The sum over the lanes (`hadd` until xsimd 8, `reduce_add` since 9).
template <class Scalar>
[[nodiscard]] inline Scalar reduce_add(const Batch<Scalar>& values) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(values);
#else
  return xsimd::hadd(values);
#endif
}

/// The largest of the lanes.
template <class Scalar>
[[nodiscard]] inline Scalar reduce_max(const Batch<Scalar>& values) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Scalar, float>) {
    return _mm512_reduce_max_ps(values);
  }
#endif
  Scalar lanes[static_cast<std::size_t>(batch_size<Scalar>)];
  values.store_unaligned(lanes);
  return *std::max_element(lanes, lanes + batch_size<Scalar>);
}

#if defined(__AVX512F__)
namespace detail {

/// Lane r is `combine` over all lanes of rows[r], in the order of xsimd's sum over the lanes: the upper half and the
/// lower, again, and then neighbours, twice. Two rows share a register as soon as each fills half of it.
template <class Combine>
[[nodiscard]] inline Batch<float> combine_lanes_of_each(const Batch<float>* rows, const Combine& combine) {
  __m512 quarters[4];  // of rows s, s + 4, s + 8 and s + 12, four lanes of each
  INCONTEXT_UNROLL
  for (int s = 0; s < 4; ++s) {
    __m512 halves[2];
    INCONTEXT_UNROLL
    for (int pair = 0; pair < 2; ++pair) {
      const __m512 left = rows[8 * pair + s];
      const __m512 right = rows[8 * pair + s + 4];
      halves[pair] = combine(_mm512_shuffle_f32x4(left, right, 0x44), _mm512_shuffle_f32x4(left, right, 0xEE));
    }
    quarters[s] =
        combine(_mm512_shuffle_f32x4(halves[0], halves[1], 0x88), _mm512_shuffle_f32x4(halves[0], halves[1], 0xDD));
  }
  const auto neighbours = [&](__m512 left, __m512 right) -> __m512 {
    return combine(_mm512_shuffle_ps(left, right, 0x88), _mm512_shuffle_ps(left, right, 0xDD));
  };
  return neighbours(neighbours(quarters[0], quarters[1]), neighbours(quarters[2], quarters[3]));
}

}  // namespace detail
#endif

/// Lane r is `value_of(r)`.
template <class Scalar, class Function>
[[nodiscard]] inline Batch<Scalar> each_lane(const Function& value_of) {
  Scalar values[static_cast<std::size_t>(batch_size<Scalar>)];
  for (Index lane = 0; lane < batch_size<Scalar>; ++lane) {
    values[lane] = value_of(lane);
  }
  return load<Scalar>(values);
}

/// Of as many rows as a register has lanes: lane r is `reduce_add(rows[r])`, to the bit.
template <class Scalar>
[[nodiscard]] inline Batch<Scalar> reduce_add_each(const Batch<Scalar>* rows) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Scalar, float>) {
    return detail::combine_lanes_of_each(rows, [](__m512 left, __m512 right) { return _mm512_add_ps(left, right); });
  }
#endif
  return each_lane<Scalar>([rows](Index row) { return reduce_add<Scalar>(rows[row]); });
}

/// Likewise: lane r is `reduce_max(rows[r])`.
template <class Scalar>
[[nodiscard]] inline Batch<Scalar> reduce_max_each(const Batch<Scalar>* rows) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Scalar, float>) {
    return detail::combine_lanes_of_each(rows, [](__m512 left, __m512 right) { return _mm512_max_ps(left, right); });
  }
#endif
  return each_lane<Scalar>([rows](Index row) { return reduce_max<Scalar>(rows[row]); });
}

/// 0, 1, 2, ...
template <class Scalar>
[[nodiscard]] inline Batch<Scalar> lane_numbers() {
  return each_lane<Scalar>([](Index lane) { return static_cast<Scalar>(lane); });
}

/// Loads and stores of a whole register.
template <class Scalar>
struct WholeRegister {
  [[nodiscard]] static Register<Scalar> load(const Scalar* source) { return incontext::load(source); }
  static void store(const Register<Scalar>& values, Scalar* target) { incontext::store<Scalar>(values, target); }
};

/// Loads and stores of the first `count` lanes; the others are loaded as zeros.
template <class Scalar>
struct PartOfRegister {
  Index count;
  [[nodiscard]] Register<Scalar> load(const Scalar* source) const {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Scalar, float>) {
      return Register<float>(_mm512_maskz_loadu_ps(mask(), source));
    }
#endif
    Scalar values[static_cast<std::size_t>(batch_size<Scalar>)] = {};
    for (Index lane = 0; lane < count; ++lane) {
      values[lane] = source[lane];
    }
    return incontext::load<Scalar>(values);
  }
  void store(const Register<Scalar>& values, Scalar* target) const {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<Scalar, float>) {
      return _mm512_mask_storeu_ps(target, mask(), values);
    }
#endif
    Scalar buffer[static_cast<std::size_t>(batch_size<Scalar>)];
    incontext::store<Scalar>(values, buffer);
    for (Index lane = 0; lane < count; ++lane) {
      target[lane] = buffer[lane];
    }
  }

#if defined(__AVX512F__)
 private:
  [[nodiscard]] __mmask16 mask() const { return static_cast<__mmask16>((1U << static_cast<unsigned>(count)) - 1U); }
#endif
};

/// Calls `body(lanes, index)` for every register of a row of `count` scalars; `lanes` loads and stores. The tail goes
/// through the same vector code, so a value never depends on where it stands.
template <class Scalar, class Body>
inline void for_each_register(Index count, Body&& body) {
  constexpr Index lanes = batch_size<Scalar>;
  Index index = 0;
  for (; index + lanes <= count; index += lanes) {
    body(WholeRegister<Scalar>{}, index);
  }
  if (index < count) {
    body(PartOfRegister<Scalar>{count - index}, index);
  }
}

/// Applies `operation(value...)` elementwise to rows of `count` scalars and stores the result in `result`, which may
/// be one of the inputs.
template <class Scalar, class Operation, class... Inputs>
inline void transform_row(Index count, Scalar* result, Operation&& operation, const Inputs*... inputs) {
  for_each_register<Scalar>(count, [&](const auto& lanes, Index index) {
    lanes.store(operation(lanes.load(inputs + index)...), result + index);
  });
}

/// result = source, for rows of few registers: without a call.
template <class Scalar>
inline void copy_row(Index count, const Scalar* source, Scalar* result) {
  transform_row<Scalar>(
      count, result, [](const auto& value) { return value; }, source);
}

/// The sum of `operation(value...)` over a row.
template <class Scalar, class Operation, class... Inputs>
[[nodiscard]] inline Scalar sum_row(Index count, Operation&& operation, const Scalar* first, const Inputs*... others) {
  Scalar total{};
  Index index = 0;
  if constexpr (is_vectorised<Scalar>) {
    constexpr Index lanes = batch_size<Scalar>;
    Batch<Scalar> sum(Scalar{0});
    for (; index + lanes <= count; index += lanes) {
      sum += operation(Batch<Scalar>::load_unaligned(first + index), Batch<Scalar>::load_unaligned(others + index)...);
    }
    total = reduce_add<Scalar>(sum);
  }
  for (; index < count; ++index) {
    total += operation(first[index], others[index]...);
  }
  return total;
}

INCONTEXT_NAMESPACE_END
