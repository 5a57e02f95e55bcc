#pragma once
/// \file
/// Activation policies: a value and its derivative, on scalars and on vectors of them alike.

#include "incontext/simd/row_kernels.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// GELU by its tanh approximation (Hendrycks and Gimpel 2016), the one that GPT-2 uses. Since
/// (1 + tanh u) / 2 = logistic(2u), it is x logistic(2u) with u = sqrt(2/pi) (x + 0.044715 x^3): one exponential.
struct Gelu {
  template <class Value>
  static Value value(const Value& x) {
    return x * logistic(constant<Value>(two_root) * (x + constant<Value>(cubic) * x * x * x));
  }
  template <class Value>
  static Value derivative(const Value& x) {
    const Value gate = logistic(constant<Value>(two_root) * (x + constant<Value>(cubic) * x * x * x));
    return gate + x * gate * (constant<Value>(1) - gate) * constant<Value>(two_root) *
                      (constant<Value>(1) + constant<Value>(3 * cubic) * x * x);
  }

 private:
  static constexpr double cubic = 0.044715;
  static constexpr double two_root = 1.5957691216057307117597842397375;  // 2 sqrt(2 / pi)
};

INCONTEXT_NAMESPACE_END
