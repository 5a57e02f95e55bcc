#include "incontext/core/config.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>

#include <cstddef>
#include <sstream>
#include <string>
#include <type_traits>

#define TEXT_OF_(tokens) #tokens
#define TEXT_OF(tokens) TEXT_OF_(tokens)

INCONTEXT_NAMESPACE_BEGIN
struct NamespaceProbe {};
INCONTEXT_NAMESPACE_END

TEST_CASE("the inline namespace is invisible in source") {
  static_assert(std::is_same_v<incontext::NamespaceProbe, incontext::INCONTEXT_ABI::NamespaceProbe>);
}

TEST_CASE("the inline namespace names version, instruction set and alignment") {
  const std::string name = TEXT_OF(INCONTEXT_ABI);
  std::ostringstream expected;
  expected << 'v' << INCONTEXT_VERSION_MAJOR << '_' << INCONTEXT_VERSION_MINOR << '_' << INCONTEXT_VERSION_PATCH << '_'
           << TEXT_OF(INCONTEXT_INSTRUCTION_SET) << "_align_" << EIGEN_MAX_ALIGN_BYTES;
  CHECK(name == expected.str());
}

TEST_CASE("the instruction set in the name is the compiler's") {
  const std::string set = TEXT_OF(INCONTEXT_INSTRUCTION_SET);
#if defined(__AVX512F__) && (defined(__AMX_BF16__) || defined(__AMXBF16__))
  CHECK(set == "avx512_amx");
#elif defined(__AVX512F__) && defined(__AVX512BF16__)
  CHECK(set == "avx512_bf16");
#elif defined(__AVX512F__)
  CHECK(set == "avx512");
#elif defined(__AVX2__) && defined(__FMA__)
  CHECK(set == "avx2_fma");
#elif defined(__AVX__)
  CHECK(set == "avx");
#elif defined(__ARM_NEON)
  CHECK(set == "neon");
#else
  CHECK(set == "baseline");
#endif
}

TEST_CASE("indices are signed and as wide as pointers, as Eigen's") {
  static_assert(std::is_same_v<incontext::Index, std::ptrdiff_t>);
  static_assert(std::is_same_v<incontext::Index, Eigen::Index>);
}

TEST_CASE("exceptions are on where the compiler has them") {
#if defined(INCONTEXT_NO_EXCEPTIONS)
  FAIL("the tests need exceptions");
#endif
}
