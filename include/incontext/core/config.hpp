#pragma once
/// \file
/// What the library asks of the compiler, and the inline namespace that keeps mismatched translation units apart.

#include "incontext/core/version.hpp"

// GCC 12 takes the deliberately undefined operands of its own AVX-512 intrinsics for a mistake (GCC bug 105593). The
// diagnostics point into this header, so they are silenced where it is first read.
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include <Eigen/Core>

#include <cstddef>

#if defined(__FAST_MATH__) && !defined(INCONTEXT_ALLOW_FAST_MATH)
#error \
    "incontext: -ffast-math reorders sums and drops the non-finite checks that reproducibility rests on. \
Compile without it, or define INCONTEXT_ALLOW_FAST_MATH to accept results that differ from build to build."
#endif

/// Exceptions are used when the compiler has them, unless the user turns them off. Without them, an error prints its
/// message to standard error and aborts.
#if !defined(INCONTEXT_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define INCONTEXT_NO_EXCEPTIONS
#endif

// Two spellings: that of g++ and newer clang++, and that of clang++ 14.
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
#define INCONTEXT_TARGET_HAS_AMX
#endif

#if defined(__AVX512F__) && defined(INCONTEXT_TARGET_HAS_AMX)
#define INCONTEXT_INSTRUCTION_SET avx512_amx
#elif defined(__AVX512F__) && defined(__AVX512BF16__)
#define INCONTEXT_INSTRUCTION_SET avx512_bf16
#elif defined(__AVX512F__)
#define INCONTEXT_INSTRUCTION_SET avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define INCONTEXT_INSTRUCTION_SET avx2_fma
#elif defined(__AVX__)
#define INCONTEXT_INSTRUCTION_SET avx
#elif defined(__ARM_NEON)
#define INCONTEXT_INSTRUCTION_SET neon
#else
#define INCONTEXT_INSTRUCTION_SET baseline
#endif

/// What Eigen aligns by becomes part of the name. Eigen defines this macro itself where the user does not, so it is
/// read after Eigen: otherwise the name would depend on which header a translation unit includes first.
#define INCONTEXT_ALIGNMENT EIGEN_MAX_ALIGN_BYTES

#define INCONTEXT_PASTE_(major, minor, patch, set, alignment) v##major##_##minor##_##patch##_##set##_align_##alignment
#define INCONTEXT_PASTE(major, minor, patch, set, alignment) INCONTEXT_PASTE_(major, minor, patch, set, alignment)
#define INCONTEXT_ABI                                                                        \
  INCONTEXT_PASTE(INCONTEXT_VERSION_MAJOR, INCONTEXT_VERSION_MINOR, INCONTEXT_VERSION_PATCH, \
                  INCONTEXT_INSTRUCTION_SET, INCONTEXT_ALIGNMENT)

/// Opens `incontext` and an inline namespace named after version, instruction set and alignment, so that translation
/// units compiled differently fail at link time instead of corrupting memory.
#define INCONTEXT_NAMESPACE_BEGIN \
  namespace incontext {           \
  inline namespace INCONTEXT_ABI {
#define INCONTEXT_NAMESPACE_END \
  }                             \
  }

INCONTEXT_NAMESPACE_BEGIN

/// Signed sizes and indices, as Eigen's.
using Index = std::ptrdiff_t;

INCONTEXT_NAMESPACE_END
