#pragma once
/// \file
/// The precision of matrix products, as a choice of the user.

#include "incontext/core/error.hpp"

#include <string_view>

INCONTEXT_NAMESPACE_BEGIN

/// How the products of `float` models are computed. Weights, accumulation and everything that is no product of two
/// matrices stay in fp32; other scalars than `float` compute in themselves whatever the precision. What is too large
/// for bfloat16, beyond 3.389e38, becomes infinite, and an infinite operand of bf16x3 makes NaN where fp32 has
/// infinity.
enum class Precision {
  fp32,   ///< fused multiply-adds of the vector units
  bf16,   ///< operands rounded to bfloat16 (8 significant bits), products exact, sums in fp32
  bf16x3  ///< each operand as the sum of two bfloat16, three products: relative error about 2^-16, near fp32
};

/// "fp32", "bf16" or "bf16x3".
[[nodiscard]] constexpr std::string_view name_of(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::bf16 ? "bf16" : "bf16x3";
}

/// The precision of that name; `what` is what the error calls it. \throws ConfigurationError if there is none
[[nodiscard]] inline Precision precision_named(std::string_view name, std::string_view what = "precision") {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    if (name == name_of(precision)) {
      return precision;
    }
  }
  raise<ConfigurationError>(text(what, " is '", name, "', expected fp32, bf16 or bf16x3"));
}

INCONTEXT_NAMESPACE_END
