#include "incontext/simd/precision.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>

using incontext::ConfigurationError;
using incontext::name_of;
using incontext::Precision;
using incontext::precision_named;

TEST_CASE("every precision has a name of its own, and the name leads back to it") {
  std::set<std::string_view> names;
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::bf16x3}) {
    CHECK(precision_named(name_of(precision)) == precision);
    names.insert(name_of(precision));
  }
  CHECK(names == std::set<std::string_view>{"fp32", "bf16", "bf16x3"});
  static_assert(name_of(Precision::bf16) == "bf16");
}

TEST_CASE("a name that no precision has is refused, and the message says which and what was expected") {
  for (const std::string name : {"fp16", "", "BF16", "bf16 ", "bf16x", "bf16x33"}) {
    CHECK_THROWS_WITH_AS((void)precision_named(name),
                         ("precision is '" + name + "', expected fp32, bf16 or bf16x3").c_str(), ConfigurationError);
  }
}
