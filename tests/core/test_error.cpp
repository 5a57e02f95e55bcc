#include "incontext/core/error.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
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
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double number : {0.0, -0.0, 1.0, -2.5, 1.0 / 3.0, 123456.0, 1234567.0, 1e-5, 1e300, -5e-324, infinity,
                              -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    std::ostringstream stream;
    stream << number;
    CHECK(incontext::text(number) == stream.str());
  }
  CHECK(incontext::text(-1, 2U, -3L, 4UL, -5LL, 6ULL, 0.5F, true, std::string_view("view")) == "-12-34-560.51view");
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
  operator std::string_view() const {
    ++printed;
    return "part";
  }
};

}  // namespace

TEST_CASE("the parts of a message are printed only when it is needed") {
  int printed = 0;
  require(true, CountedPart{printed});
  CHECK(printed == 0);
  CHECK_THROWS_WITH_AS(require(false, CountedPart{printed}), "part", ConfigurationError);
  CHECK(printed == 1);
}
