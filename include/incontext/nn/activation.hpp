#pragma once
/// \file
/// Activation policies: a value and its derivative, on scalars and on vectors of them alike, apart or together. One
/// that consists of arithmetic, `constant` and `exponential` may say so by `static constexpr bool goes_in_step = true`:
/// it is then computed on several registers in step.

#include "incontext/simd/exponential.hpp"
#include "incontext/simd/registers.hpp"

#include <tuple>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Whether an activation takes `Registers` as they are; of one that does not, each register is a value of its own.
template <class Activation>
inline constexpr bool goes_in_step = requires {
  requires Activation::goes_in_step;
};

/// An activation's value.
template <class Activation, class Value>
[[nodiscard]] INCONTEXT_ALWAYS_INLINE inline Value value_of(const Value& x) {
  if constexpr (is_registers<Value> && !goes_in_step<Activation>) {
    return in_step([](const auto& part) { return Activation::value(part); }, x);
  } else {
    return Activation::value(x);
  }
}

/// An activation's value and its derivative, by `value_and_derivative` where it has one.
template <class Activation, class Value>
[[nodiscard]] INCONTEXT_ALWAYS_INLINE inline std::pair<Value, Value> value_and_derivative(const Value& x) {
  if constexpr (is_registers<Value> && !goes_in_step<Activation>) {
    std::pair<Value, Value> both;
    INCONTEXT_UNROLL
    for (int place = 0; place < Value::count; ++place) {
      std::tie(both.first.parts[place], both.second.parts[place]) = value_and_derivative<Activation>(x.parts[place]);
    }
    return both;
  } else if constexpr (requires { Activation::value_and_derivative(x); }) {
    return Activation::value_and_derivative(x);
  } else {
    return {Activation::value(x), Activation::derivative(x)};
  }
}

/// GELU by its tanh approximation (Hendrycks and Gimpel 2016), the one that GPT-2 uses. Since
/// (1 + tanh u) / 2 = logistic(2u), it is x logistic(2u) with u = sqrt(2/pi) (x + 0.044715 x^3): one exponential.
struct Gelu {
  static constexpr bool goes_in_step = true;

  template <class Value>
  INCONTEXT_ALWAYS_INLINE static Value value(const Value& x) {
    return value_and_derivative(x).first;
  }
  template <class Value>
  INCONTEXT_ALWAYS_INLINE static Value derivative(const Value& x) {
    return value_and_derivative(x).second;
  }
  /// Both from one exponential: with s the logistic function and g(x) = x s(2u), g' = s + x s (1 - s) 2u'.
  template <class Value>
  INCONTEXT_ALWAYS_INLINE static std::pair<Value, Value> value_and_derivative(const Value& x) {
    const Value square = x * x;
    const Value minus_twice_u = x * (constant<Value>(-two_root) - constant<Value>(two_root * cubic) * square);
    const Value gate = constant<Value>(1) / (constant<Value>(1) + exponential(minus_twice_u));
    const Value result = x * gate;
    const Value slope = constant<Value>(two_root) + constant<Value>(3 * two_root * cubic) * square;
    return {result, gate + result * (constant<Value>(1) - gate) * slope};
  }

 private:
  static constexpr double cubic = 0.044715;
  static constexpr double two_root = 1.5957691216057307117597842397375;  // 2 sqrt(2 / pi)
};

INCONTEXT_NAMESPACE_END
