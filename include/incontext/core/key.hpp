#pragma once
/// \file
/// Counter-based random numbers: a `Key` names a stream, `fold` derives a new name, a `Stream` draws from it.
///
/// The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
/// There is no mutable or global engine: whoever holds a key can draw the same numbers again, in any order, on any
/// thread. Integers and uniforms are exact everywhere; normals pass through the machine's `log`, `sin` and `cos`.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Philox4x32-10: ten rounds over a 128-bit counter with a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32U) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32U) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key = {key[0] + 0x9E3779B9U, key[1] + 0xBB67AE85U};
  }
  return counter;
}

/// The name of a random stream: 128 bits. Keys are values; folding a number or a word into one gives another that
/// shares nothing with it.
class Key {
 public:
  constexpr Key() = default;
  /// The root of all streams of one seed.
  constexpr explicit Key(std::uint64_t seed) : high_(seed) {}
  /// The key with exactly these bits, as a checkpoint stores them.
  constexpr Key(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}

  /// The key for the `number`-th of many equal things: a step, a seed, a prompt.
  [[nodiscard]] constexpr Key fold(std::uint64_t number) const { return derive(number, number_domain); }
  template <class Integer>
  requires std::is_integral_v<Integer>
  [[nodiscard]] constexpr Key fold(Integer number) const { return fold(static_cast<std::uint64_t>(number)); }
  /// The key for a role: "task", "data", "noise", "initialisation".
  [[nodiscard]] constexpr Key fold(std::string_view role) const {
    std::uint64_t hash = 0xCBF29CE484222325U;  // FNV-1a, 64 bits
    for (const char letter : role) {
      hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3U;
    }
    return derive(hash, word_domain);
  }
  [[nodiscard]] constexpr Key fold(const char* role) const { return fold(std::string_view(role)); }

  /// The `index`-th block of 128 random bits of this key's stream.
  [[nodiscard]] constexpr std::array<std::uint32_t, 4> block(std::uint64_t index) const { return bits(index, high_); }

  [[nodiscard]] constexpr std::uint64_t high() const { return high_; }
  [[nodiscard]] constexpr std::uint64_t low() const { return low_; }
  constexpr bool operator==(const Key&) const = default;

 private:
  // Folding and drawing run Philox under different keys, so a stream never contains the bits of a derived key.
  static constexpr std::uint64_t number_domain = 0x8F1BBCDC6ED9EBA1U;
  static constexpr std::uint64_t word_domain = 0xCA62C1D65A827999U;

  [[nodiscard]] constexpr std::array<std::uint32_t, 4> bits(std::uint64_t index, std::uint64_t philox_key) const {
    return philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32U),
                       static_cast<std::uint32_t>(low_), static_cast<std::uint32_t>(low_ >> 32U)},
                      {static_cast<std::uint32_t>(philox_key), static_cast<std::uint32_t>(philox_key >> 32U)});
  }
  [[nodiscard]] constexpr Key derive(std::uint64_t number, std::uint64_t domain) const {
    const auto words = bits(number, high_ ^ domain);
    return {(std::uint64_t{words[1]} << 32U) | words[0], (std::uint64_t{words[3]} << 32U) | words[2]};
  }

  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

/// Draws from one key's stream in order. Cheap to make; make one for every role.
class Stream {
 public:
  explicit constexpr Stream(Key key) : key_(key) {}

  /// 64 random bits.
  constexpr std::uint64_t bits() {
    if (half_ == 0) {
      words_ = key_.block(index_++);
    }
    const std::size_t first = half_ == 0 ? 0U : 2U;
    half_ ^= 1;
    return (std::uint64_t{words_[first + 1]} << 32U) | words_[first];
  }

  /// Uniform on [0, 1), a multiple of 2^-53.
  constexpr double uniform() { return static_cast<double>(bits() >> 11U) * 0x1.0p-53; }

  /// Uniform from low to high, both finite; high itself only by rounding.
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Standard normal (Box and Muller 1958), two to a block of bits.
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - u is in (0, 1]
    const double angle = 6.283185307179586476925286766559 * uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

  /// Fills [first, last) with independent standard normals times `scale`.
  template <class Iterator>
  void fill_normal(Iterator first, Iterator last, double scale = 1.0) {
    for (; first != last; ++first) {
      *first = static_cast<std::remove_cvref_t<decltype(*first)>>(scale * normal());
    }
  }

  /// Uniform on {0, ..., bound - 1} without bias (Lemire 2019: multiply, reject the short interval).
  /// \throws ConfigurationError if bound < 1
  Index integer(Index bound) {
    require(bound >= 1, "Stream::integer: bound is ", bound, ", expected at least 1");
    const auto range = static_cast<std::uint64_t>(bound);
    const std::uint64_t threshold = (0 - range) % range;
    for (;;) {
      const std::uint64_t draw = bits();
      // The product of draw and range in 128 bits, in two 64-bit halves.
      const std::uint64_t low_product = (draw & 0xFFFFFFFFU) * (range & 0xFFFFFFFFU);
      const std::uint64_t cross1 = (draw >> 32U) * (range & 0xFFFFFFFFU) + (low_product >> 32U);
      const std::uint64_t cross2 = (draw & 0xFFFFFFFFU) * (range >> 32U) + (cross1 & 0xFFFFFFFFU);
      const std::uint64_t high = (draw >> 32U) * (range >> 32U) + (cross1 >> 32U) + (cross2 >> 32U);
      if (draw * range >= threshold) {
        return static_cast<Index>(high);
      }
    }
  }

  /// A uniformly random permutation of 0, ..., count - 1 (Fisher and Yates).
  std::vector<Index> permutation(Index count) {
    require(count >= 0, "Stream::permutation: count is ", count, ", expected at least 0");
    std::vector<Index> order(static_cast<std::size_t>(count));
    for (std::size_t position = 0; position < order.size(); ++position) {
      order[position] = static_cast<Index>(position);
    }
    for (std::size_t left = order.size(); left > 1; --left) {
      std::swap(order[left - 1], order[static_cast<std::size_t>(integer(static_cast<Index>(left)))]);
    }
    return order;
  }

 private:
  Key key_;
  std::uint64_t index_ = 0;
  std::array<std::uint32_t, 4> words_{};
  int half_ = 0;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

INCONTEXT_NAMESPACE_END
