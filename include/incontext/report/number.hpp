#pragma once
/// \file
/// Numbers as text, the same on every machine: `std::to_chars` knows no locale.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <system_error>

INCONTEXT_NAMESPACE_BEGIN

/// The shortest text that reads back as exactly this double: "0.1", "1e-09", "nan", "inf".
[[nodiscard]] inline std::string shortest_text(double value) {
  if (std::isnan(value)) {
    return "nan";  // without the sign that to_chars would print
  }
  std::array<char, 32> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), written.ptr};
}

/// The value rounded to `digits` significant digits, trailing zeros kept: at 3 digits 1.5 is "1.50" and 12345 is
/// "12300". Plain notation from 1e-4 up to 1e7, scientific beyond. \throws ConfigurationError if digits is not 1 to 15
[[nodiscard]] inline std::string significant_text(double value, int digits = 3) {
  require(digits >= 1 && digits <= 15, "significant_text: digits is ", digits, ", expected 1 to 15");
  if (!std::isfinite(value)) {
    return shortest_text(value);
  }
  std::array<char, 64> buffer{};
  char* const first = buffer.data();
  char* const last = first + buffer.size();
  const auto scientific = std::to_chars(first, last, value, std::chars_format::scientific, digits - 1);
  const std::string rounded_text(first, scientific.ptr);
  // The exponent is taken after rounding, so that 9.996 becomes "10.0" and not "10.00".
  const int exponent = std::atoi(rounded_text.c_str() + rounded_text.find('e') + 1);
  if (exponent < -4 || exponent >= 7) {
    return rounded_text;
  }
  double rounded = 0.0;
  std::from_chars(rounded_text.data(), rounded_text.data() + rounded_text.size(), rounded);
  const int decimals = digits - 1 - exponent;
  const auto fixed = std::to_chars(first, last, rounded, std::chars_format::fixed, decimals > 0 ? decimals : 0);
  return {first, fixed.ptr};
}

/// A count with a comma between thousands: "12,000".
[[nodiscard]] inline std::string count_text(Index count) {
  std::string digits = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t position = digits.size(); position > first + 3;) {
    position -= 3;
    digits.insert(position, 1, ',');
  }
  return digits;
}

INCONTEXT_NAMESPACE_END
