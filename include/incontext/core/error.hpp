#pragma once
/// \file
/// Errors: each says which value, what was expected, and where. With exceptions off they print and abort.

#include "incontext/core/config.hpp"

#include <charconv>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#if defined(INCONTEXT_NO_EXCEPTIONS)
#include <cstdio>
#include <cstdlib>
#endif

/// What happens only when something is wrong: made small rather than fast, with everything on the way to it, so that it
/// costs little in a program and in its compilation.
#if defined(__GNUC__)
#define INCONTEXT_COLD [[gnu::cold, gnu::noinline]]
#else
#define INCONTEXT_COLD
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

/// A part of a message, a string or a number, until the message is joined. Its constructors are overloads and there is
/// no stream: the parts of every message are types of their own, and looking each of them up among the operators << of
/// everything that is included was a good part of the time that a program took to compile. Joining what no longer has
/// types of its own is one function for all messages, so that a check leaves little code where it stands.
class MessagePart {
 public:
  // One of a union is what is initialised. NOLINTBEGIN(cppcoreguidelines-pro-type-member-init)
  MessagePart(std::string_view string) : kind_(Kind::string), string_(string) {}
  MessagePart(const char* string) : kind_(Kind::literal), literal_(string) {}
  MessagePart(char character) : kind_(Kind::character), character_(character) {}
  MessagePart(int number) : MessagePart(static_cast<long long>(number)) {}
  MessagePart(long number) : MessagePart(static_cast<long long>(number)) {}
  MessagePart(long long number) : kind_(Kind::integer), integer_(number) {}
  MessagePart(unsigned number) : MessagePart(static_cast<unsigned long long>(number)) {}
  MessagePart(unsigned long number) : MessagePart(static_cast<unsigned long long>(number)) {}
  MessagePart(unsigned long long number) : kind_(Kind::natural), natural_(number) {}
  MessagePart(double number) : kind_(Kind::real), real_(number) {}
  // NOLINTEND(cppcoreguidelines-pro-type-member-init)

  void append_to(std::string& message) const {
    char digits[32];
    char* const end = digits + sizeof(digits);
    switch (kind_) {
      case Kind::string:
        message += string_;
        return;
      case Kind::literal:
        message += literal_;
        return;
      case Kind::character:
        message += character_;
        return;
      case Kind::integer:
        message.append(digits, std::to_chars(digits, end, integer_).ptr);
        return;
      case Kind::natural:
        message.append(digits, std::to_chars(digits, end, natural_).ptr);
        return;
      case Kind::real:
        message.append(digits, std::to_chars(digits, end, real_, std::chars_format::general, 6).ptr);
        return;
    }
  }

 private:
  enum class Kind { string, literal, character, integer, natural, real };
  Kind kind_;
  union {
    std::string_view string_;
    const char* literal_;
    char character_;
    long long integer_;
    unsigned long long natural_;
    double real_;
  };
};

INCONTEXT_COLD [[nodiscard]] inline std::string joined(std::initializer_list<MessagePart> parts) {
  std::string message;
  for (const MessagePart& part : parts) {
    part.append_to(message);
  }
  return message;
}

}  // namespace detail

/// Joins strings and numbers into one string, as a stream would print them.
template <class... Parts>
[[nodiscard]] inline std::string text(const Parts&... parts) {
  return detail::joined({detail::MessagePart(parts)...});
}

/// Reports an error: throws `Type`, or prints and aborts where exceptions are off.
template <class Type>
INCONTEXT_COLD [[noreturn]] inline void raise(const std::string& message) {
#if defined(INCONTEXT_NO_EXCEPTIONS)
  std::fprintf(stderr, "incontext: %s\n", message.c_str());
  std::abort();
#else
  throw Type(message);
#endif
}

namespace detail {

/// Out of line, so that a check is a comparison and a call.
template <class Type>
INCONTEXT_COLD [[noreturn]] inline void raise_joined(std::initializer_list<MessagePart> parts) {
  raise<Type>(joined(parts));
}

}  // namespace detail

/// Raises a `Type` made of the remaining arguments unless `condition` holds. The parts are only joined on failure.
template <class Type = ConfigurationError, class... Parts>
inline void require(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] {
    detail::raise_joined<Type>({detail::MessagePart(parts)...});
  }
}

/// Refuses a setting below the least that makes sense: "Transformer: heads is 0, expected at least 1".
/// \throws ConfigurationError
inline void require_at_least(const char* owner, const char* name, Index value, Index least) {
  require(value >= least, owner, ": ", name, " is ", value, ", expected at least ", least);
}

INCONTEXT_NAMESPACE_END
