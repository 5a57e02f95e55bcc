#include "incontext/core/function_reference.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <type_traits>
#include <utility>

using namespace incontext;

static_assert(std::is_trivially_copyable_v<FunctionReference<void()>>);
static_assert(!std::is_constructible_v<FunctionReference<int(int)>, void (*&)(const char*)>);

TEST_CASE("a reference calls what it refers to, with its state, and hands arguments on") {
  int calls = 0;
  auto count = [&calls](int more) { return calls += more; };
  const FunctionReference<int(int)> reference = count;
  CHECK(reference(2) == 2);
  const FunctionReference<int(int)> copy = reference;
  CHECK(copy(3) == 5);
  CHECK(calls == 5);
  auto take = [](std::unique_ptr<int> value) { return *value; };
  CHECK(FunctionReference<int(std::unique_ptr<int>)>(take)(std::make_unique<int>(7)) == 7);
}

TEST_CASE("a reference to nothing says so") {
  const auto nothing = [] {};
  CHECK_FALSE(static_cast<bool>(FunctionReference<void()>{}));
  CHECK(static_cast<bool>(FunctionReference<void()>{nothing}));
}
