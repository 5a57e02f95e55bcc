#pragma once
/// \file
/// Errors: each says which value, what was expected, and where. With exceptions off they print and abort.

#include "incontext/core/config.hpp"

#include <charconv>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#if defined(INCONTEXT_NO_EXCEPTIONS)
#include <cstdio>
#include <cstdlib>
#endif

INCONTEXT_NAMESPACE_BEGIN

/// The base of every error that the library reports.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A setting that makes no sense: zero heads, a negative noise, a weight above one.
class ConfigurationError : public Error {
 public:
  using Error::Error;
};

/// Operands whose shapes do not fit.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be read, cannot be written, or is not what it should be.
class FileError : public Error {
 public:
  using Error::Error;
};

/// A loss or a gradient that is no longer finite.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

namespace detail {

// Overloads and not a stream: the parts of every message are types of their own, and looking each of them up among the
// operators << of everything that is included was a good part of the time that a program took to compile.
inline void append(std::string& message, std::string_view part) { message += part; }
inline void append(std::string& message, const char* part) { message += part; }
inline void append(std::string& message, char part) { message += part; }
inline void append(std::string& message, int part) { message += std::to_string(part); }
inline void append(std::string& message, unsigned part) { message += std::to_string(part); }
inline void append(std::string& message, long part) { message += std::to_string(part); }
inline void append(std::string& message, unsigned long part) { message += std::to_string(part); }
inline void append(std::string& message, long long part) { message += std::to_string(part); }
inline void append(std::string& message, unsigned long long part) { message += std::to_string(part); }
inline void append(std::string& message, double part) {
  char digits[32];
  message.append(digits, std::to_chars(digits, digits + sizeof(digits), part, std::chars_format::general, 6).ptr);
}

}  // namespace detail

/// Joins strings and numbers into one string, as a stream would print them.
template <class... Parts>
[[nodiscard]] std::string text(const Parts&... parts) {
  std::string message;
  (detail::append(message, parts), ...);
  return message;
}

/// Reports an error: throws `Type`, or prints and aborts where exceptions are off.
template <class Type>
[[noreturn]] inline void raise(const std::string& message) {
#if defined(INCONTEXT_NO_EXCEPTIONS)
  std::fprintf(stderr, "incontext: %s\n", message.c_str());
  std::abort();
#else
  throw Type(message);
#endif
}

/// Raises a `Type` made of the remaining arguments unless `condition` holds. The parts are only joined on failure.
template <class Type = ConfigurationError, class... Parts>
inline void require(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] {
    raise<Type>(text(parts...));
  }
}

/// Refuses a setting below the least that makes sense: "Transformer: heads is 0, expected at least 1".
/// \throws ConfigurationError
inline void require_at_least(const char* owner, const char* name, Index value, Index least) {
  require(value >= least, owner, ": ", name, " is ", value, ", expected at least ", least);
}

INCONTEXT_NAMESPACE_END
