#pragma once
/// \file
/// The smallest piece of a product of bfloat16: a block of up to 32 x 32 sums, on the matrix unit where the processor
/// has one.
///
/// The unit works on tiles. A tile of A is [16 rows, 16 pairs], a tile of B [16 pairs, 16 columns], a pair being two
/// neighbours along the inner dimension; one step takes a block of C through 32 of the inner dimension. Within a step
/// the even and the odd members of the pairs are summed apart, in ascending order, each product exact and each sum
/// rounded to fp32; then the two sums are added, and the result to C (Intel, "Architecture Instruction Set Extensions
/// Programming Reference", TDPBF16PS). The emulation keeps to that order, and so gives
/// the unit's bits, but for numbers below the smallest normal one, 2^-126: the unit takes them for zero.

#include "incontext/core/matrix.hpp"
#include "incontext/simd/batch.hpp"
#include "incontext/simd/bfloat16.hpp"

#include <bit>
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

/// Rows and columns of a block of sums; the inner dimension goes in steps of as many.
inline constexpr Index block_size = 32;
/// Pairs in a tile.
inline constexpr Index tile_pairs = 16 * pairs_in_row;

/// Operands of a block: `steps` steps of the inner dimension. A step of A are its two tiles of 16 rows, one after the
/// other; a step of B its two tiles of 16 columns.
struct BlockOperands {
  const Bfloat16Pair* a = nullptr;
  const Bfloat16Pair* b = nullptr;
  Index steps = 0;
};

/// Sums of a block: [rows, 32], read from `start` and written to `target`, which may be the same. A start that is null
/// stands for zeros, a start stride of zero for one row that all rows start from. `rows` is 16 or 32.
struct BlockSums {
  Index rows = block_size;
  const float* start = nullptr;
  Index start_stride = 0;
  float* target = nullptr;
  Index target_stride = 0;
};

namespace detail {

/// target = start + the sum over the terms of A B, in the order of the matrix unit, on vectors.
inline void emulated_block(std::span<const BlockOperands> operands, const BlockSums& sums) {
  constexpr Index lanes = batch_size<float>;
  using Bits = xsimd::batch<std::uint32_t>;
  const auto floats = [](const Bits& bits) { return xsimd::bitwise_cast<Batch<float>>(bits); };
  const auto even_of = [](Bfloat16Pair pair) { return std::bit_cast<float>(pair << 16U); };
  const auto odd_of = [](Bfloat16Pair pair) { return std::bit_cast<float>(pair & 0xFFFF0000U); };
  constexpr Index together = 4;  // rows, so that their sums run side by side
  for (Index column = 0; column < block_size; column += lanes) {
    for (Index first = 0; first < sums.rows; first += together) {
      Batch<float> total[together];
      INCONTEXT_UNROLL
      for (Index row = 0; row < together; ++row) {
        total[row] = sums.start == nullptr ? Batch<float>(0.0F)
                                           : load<float>(sums.start + (first + row) * sums.start_stride + column);
      }
      for (const BlockOperands& term : operands) {
        for (Index step = 0; step < term.steps; ++step) {
          const Bfloat16Pair* b = term.b + step * 2 * tile_pairs + column / 16 * tile_pairs + column % 16;
          Batch<float> even[together];
          Batch<float> odd[together];
          INCONTEXT_UNROLL
          for (Index row = 0; row < together; ++row) {
            even[row] = odd[row] = Batch<float>(0.0F);
          }
          for (Index pair = 0; pair < pairs_in_row; ++pair) {
            const Bits bits = Bits::load_unaligned(b + pair * 16);
            const Batch<float> b_even = floats(bits << 16);
            const Batch<float> b_odd = floats(bits & Bits(0xFFFF0000U));
            INCONTEXT_UNROLL
            for (Index row = 0; row < together; ++row) {
              const Bfloat16Pair a = term.a[step * 2 * tile_pairs + (first + row) * pairs_in_row + pair];
              even[row] = fused_multiply_add(Batch<float>(even_of(a)), b_even, even[row]);
              odd[row] = fused_multiply_add(Batch<float>(odd_of(a)), b_odd, odd[row]);
            }
          }
          INCONTEXT_UNROLL
          for (Index row = 0; row < together; ++row) {
            total[row] += even[row] + odd[row];
          }
        }
      }
      INCONTEXT_UNROLL
      for (Index row = 0; row < together; ++row) {
        store<float>(total[row], sums.target + (first + row) * sums.target_stride + column);
      }
    }
  }
}

}  // namespace detail

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

/// The same on the matrix unit: four tiles of sums, two of A, two of B.
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
    for (Index step = 0; step < term.steps; ++step, a += 2 * tile_pairs, b += 2 * tile_pairs) {
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
  MatrixUnit() {
#if defined(INCONTEXT_HAS_AMX)
    if (is_present()) {
      _tile_loadconfig(&detail::tile_configuration);
    }
#endif
  }
  ~MatrixUnit() {
#if defined(INCONTEXT_HAS_AMX)
    if (is_present()) {
      _tile_release();
    }
#endif
  }
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

  /// target = start + the sum over the terms of A B, term by term.
  void compute(std::span<const BlockOperands> operands, const BlockSums& sums) const {
#if defined(INCONTEXT_HAS_AMX)
    if (is_present()) {
      return detail::matrix_unit_block(operands, sums);
    }
#endif
    detail::emulated_block(operands, sums);
  }
};

INCONTEXT_NAMESPACE_END
