#include "incontext/core/error.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>

using incontext::ConfigurationError;
using incontext::Error;
using incontext::FileError;
using incontext::NonFiniteError;
using incontext::require;
using incontext::ShapeError;

TEST_CASE("every error is an incontext::Error and a std::runtime_error") {
  static_assert(std::is_base_of_v<std::runtime_error, Error>);
  static_assert(std::is_base_of_v<Error, ConfigurationError>);
  static_assert(std::is_base_of_v<Error, ShapeError>);
  static_assert(std::is_base_of_v<Error, FileError>);
  static_assert(std::is_base_of_v<Error, NonFiniteError>);
  // Kinds are told apart: catching one does not catch another.
  static_assert(!std::is_base_of_v<ConfigurationError, ShapeError>);
  static_assert(!std::is_base_of_v<FileError, NonFiniteError>);
}

TEST_CASE("text joins its parts as a stream prints them") {
  CHECK(incontext::text("width ", 63, " is not a multiple of ", 2.5, ' ', std::string("heads")) ==
        "width 63 is not a multiple of 2.5 heads");
}

TEST_CASE("require raises the type it is given, with its message, and only on failure") {
  CHECK_NOTHROW(require(true, "never seen"));
  CHECK_THROWS_WITH_AS(require(false, "heads is ", 0, ", expected at least 1"), "heads is 0, expected at least 1",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(require<ShapeError>(false, "3 rows against ", 4), "3 rows against 4", ShapeError);
  CHECK_THROWS_AS(require<FileError>(false, "no such file"), FileError);
  CHECK_THROWS_AS(require<NonFiniteError>(false, "the loss is not finite"), Error);
}

TEST_CASE("raise never returns") {
  CHECK_THROWS_WITH_AS(incontext::raise<NonFiniteError>("step 12: the loss is nan"), "step 12: the loss is nan",
                       NonFiniteError);
}

namespace {

struct CountedPart {
  int& printed;
};

std::ostream& operator<<(std::ostream& stream, const CountedPart& part) {
  ++part.printed;
  return stream << "part";
}

}  // namespace

TEST_CASE("the parts of a message are printed only when it is needed") {
  int printed = 0;
  require(true, CountedPart{printed});
  CHECK(printed == 0);
  CHECK_THROWS_WITH_AS(require(false, CountedPart{printed}), "part", ConfigurationError);
  CHECK(printed == 1);
}
