#pragma once
/// \file
/// Blocks of a product of bfloat16 on the best that the processor has: a matrix unit (AMX), dot products (AVX512-BF16),
/// or vectors of floats.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/bfloat16_block.hpp"
#include "incontext/simd/bfloat16_dot_product.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#if defined(INCONTEXT_TARGET_HAS_AMX) && defined(__linux__)
#define INCONTEXT_HAS_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

#if defined(INCONTEXT_HAS_AMX)

namespace detail {

/// All eight tiles whole: 16 rows of 64 bytes. A constant in memory, so that no compiler can take the stores that would
/// fill it for dead: it sees no reader of them in `ldtilecfg`.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfiguration tile_configuration{};

/// Linux gives a process the tiles' state on demand (arch_prctl, ARCH_REQ_XCOMP_PERM, feature 18).
inline bool ask_for_tiles() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

/// target = start + the sum over the terms of A B, on the matrix unit: four tiles of sums, two of A, two of B.
inline void matrix_unit_block(std::span<const BlockOperands> operands, const BlockSums& sums) {
  const auto bytes = [](Index floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
  const bool is_whole = sums.rows > 16;
  if (sums.start == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums.start, bytes(sums.start_stride));
    _tile_loadd(1, sums.start + 16, bytes(sums.start_stride));
    if (is_whole) {
      _tile_loadd(2, sums.start + 16 * sums.start_stride, bytes(sums.start_stride));
      _tile_loadd(3, sums.start + 16 * sums.start_stride + 16, bytes(sums.start_stride));
    }
  }
  for (const BlockOperands& term : operands) {
    const Bfloat16Pair* a = term.a;
    const Bfloat16Pair* b = term.b;
    for (Index step = 0; step < term.steps(); ++step, a += 2 * tile_pairs, b += 2 * tile_pairs) {
      _tile_loadd(4, a, 64);
      _tile_loadd(6, b, 64);
      _tile_loadd(7, b + tile_pairs, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (is_whole) {
        _tile_loadd(5, a + tile_pairs, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, sums.target, bytes(sums.target_stride));
  _tile_stored(1, sums.target + 16, bytes(sums.target_stride));
  if (is_whole) {
    _tile_stored(2, sums.target + 16 * sums.target_stride, bytes(sums.target_stride));
    _tile_stored(3, sums.target + 16 * sums.target_stride + 16, bytes(sums.target_stride));
  }
}

}  // namespace detail

#endif

/// The right to compute blocks on this thread: configures the tiles, and gives them back. One for every product.
class MatrixUnit {
 public:
#if defined(INCONTEXT_HAS_AMX)
  MatrixUnit() {
    if (is_present()) {
      _tile_loadconfig(&detail::tile_configuration);
    }
  }
  ~MatrixUnit() {
    if (is_present()) {
      _tile_release();
    }
  }
#else
  MatrixUnit() = default;
  ~MatrixUnit() = default;
#endif
  MatrixUnit(const MatrixUnit&) = delete;
  MatrixUnit& operator=(const MatrixUnit&) = delete;

  /// Whether blocks run on a matrix unit: compiled for one, and the operating system lets the process use it.
  [[nodiscard]] static bool is_present() {
#if defined(INCONTEXT_HAS_AMX)
    static const bool present = detail::ask_for_tiles();
    return present;
#else
    return false;
#endif
  }

  /// target = start + the sum over the terms of A B, term by term. A program compiled for a matrix unit that may not
  /// use it has the unit's bits all the same; one compiled for dot products has theirs, and asks meanwhile for the
  /// lines of `awaited`, [at most 32, at most 32] or none: what is read as soon as the block is summed.
  void compute(std::span<const BlockOperands> operands, const BlockSums& sums,
               [[maybe_unused]] const MatrixView<const float>& awaited = {}) const {
#if defined(INCONTEXT_HAS_AMX)
    if (is_present()) {
      return detail::matrix_unit_block(operands, sums);
    }
    detail::emulated_block(operands, sums);
#elif defined(INCONTEXT_HAS_BFLOAT16_DOT_PRODUCTS)
    detail::dot_product_block(operands, sums, awaited);
#else
    detail::emulated_block(operands, sums);
#endif
  }
};

INCONTEXT_NAMESPACE_END
