#pragma once
/// \file
/// Counter-based random numbers: a `Key` names a stream, `fold` derives a new name, a `Stream` draws from it.
///
/// The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
/// There is no mutable or global engine: whoever holds a key can draw the same numbers again, in any order, on any
/// thread. Integers, uniforms on [0, 1) and normals have the same bits on every machine.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/lanes.hpp"
#include "incontext/core/ziggurat.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
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

namespace detail {

/// Two 64-bit halves of blocks of bits, one block to a lane.
struct BlockLanes {
  WordLanes first;
  WordLanes second;
};

/// `philox4x32` of the counters (index, low), (index + 1, low), ..., all 64 bits to a word.
[[nodiscard]] inline BlockLanes philox4x32_lanes(std::uint64_t index, std::uint64_t low, std::uint64_t key) {
  // Every lane holds a word in its lower half, and anything in its upper one.
  WordLanes word0 = lane_numbers() + index;
  WordLanes word1 = word0 >> 32U;
  WordLanes word2 = WordLanes{} + low;
  WordLanes word3 = word2 >> 32U;
  std::uint64_t key0 = key;
  std::uint64_t key1 = key >> 32U;
  for (int round = 0; round < 10; ++round) {
    const WordLanes product0 = multiply_low_half(word0, 0xD2511F53U);
    const WordLanes product1 = multiply_low_half(word2, 0xCD9E8D57U);
    word0 = (product1 >> 32U) ^ word1 ^ key0;
    word1 = product1;
    word2 = (product0 >> 32U) ^ word3 ^ key1;
    word3 = product0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return {word1 << 32U | (word0 & 0xFFFFFFFFU), word3 << 32U | (word2 & 0xFFFFFFFFU)};
}

}  // namespace detail

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
  friend class Stream;

  // Folding, drawing, and deciding on a normal run Philox under different keys, so that a stream never contains the
  // bits of a derived key.
  static constexpr std::uint64_t number_domain = 0x8F1BBCDC6ED9EBA1U;
  static constexpr std::uint64_t word_domain = 0xCA62C1D65A827999U;
  static constexpr std::uint64_t normal_domain = 0x5BE0CD19137E2179U;

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
    const bool is_first = position_ % 2 == 0;
    if (is_first) {
      words_ = key_.block(position_ / 2);
    }
    ++position_;
    return is_first ? (std::uint64_t{words_[1]} << 32U) | words_[0] : (std::uint64_t{words_[3]} << 32U) | words_[2];
  }

  /// Uniform on [0, 1), a multiple of 2^-53.
  constexpr double uniform() { return static_cast<double>(bits() >> 11U) * 0x1.0p-53; }

  /// Uniform from low to high, both finite; high itself only by rounding. Compilers may fuse the product and the sum,
  /// so that the last bit may differ between builds.
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Exponential with mean 1, by comparisons alone (von Neumann, "Various techniques used in connection with random
  /// digits", 1951). Takes e^2 / (e - 1), or 4.3, numbers from the stream on average.
  constexpr double exponential() {
    for (double whole = 0.0;; whole += 1.0) {
      // Of uniforms u > u_1 > u_2 > ... that fall until one rises, the number is even with probability exp(-u).
      const double fraction = uniform();
      bool is_even = true;
      double last = fraction;
      for (double next = uniform(); next < last; next = uniform()) {
        last = next;
        is_even = !is_even;
      }
      if (is_even) {
        return whole + fraction;
      }
    }
  }

  /// Standard normal, given that it is at least `bound` > 0 (Marsaglia, "Generating a variable from the tail of the
  /// normal distribution", Technometrics 6, 1964).
  constexpr double normal_above(double bound) {
    for (;;) {
      const double excess = exponential() / bound;
      if (2.0 * exponential() >= excess * excess) {
        return bound + excess;
      }
    }
  }

  /// Standard normal, from one number of the stream: 10 bits choose a layer of the ziggurat, 52 a point of its width.
  /// One normal in 234 has to look whether its point is below the density, and draws what more it needs from a stream
  /// of its own.
  double normal() {
    const std::uint64_t draw = bits();
    const detail::Ziggurat& ziggurat = detail::ziggurat();
    const std::size_t layer = layer_of(draw);
    const double value = width_of(draw) * ziggurat.edge[layer];
    return std::abs(value) < ziggurat.edge[layer + 1] ? value : decide_normal(draw, position_ - 1);
  }

  /// Fills [first, last) with independent standard normals times `scale`: what `normal` would give, many at once.
  template <class Iterator>
  void fill_normal(Iterator first, Iterator last, double scale = 1.0) {
    using Value = std::iter_value_t<Iterator>;
    const auto put = [&first, scale](double value) { *first++ = static_cast<Value>(scale * value); };
    auto left = static_cast<std::size_t>(std::distance(first, last));
    if (left > 0 && position_ % 2 == 1) {
      put(normal());
      --left;
    }
    double firsts[group_blocks];  // of every block
    double seconds[group_blocks];
    while (left >= 2) {
      const std::size_t blocks = (std::min)(left / 2, group_blocks);
      draw_normals(blocks, firsts, seconds);
      for (std::size_t block = 0; block < blocks; ++block) {
        put(firsts[block]);
        put(seconds[block]);
      }
      left -= 2 * blocks;
    }
    if (left > 0) {
      put(normal());
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
  static constexpr std::size_t group_blocks = 32;  // a multiple of the lanes

  [[nodiscard]] static std::size_t layer_of(std::uint64_t draw) { return draw % detail::Ziggurat::layers; }

  // Uniform on [-1, 1), a multiple of 2^-51: the upper bits as the fraction of a number in [2, 4).
  [[nodiscard]] static double width_of(std::uint64_t draw) {
    return std::bit_cast<double>(0x4000000000000000U | draw >> 12U) - 3.0;
  }

  // The normal from a draw, the stream's `position`-th, that may lie above the density.
  [[nodiscard]] double decide_normal(std::uint64_t draw, std::uint64_t position) const {
    const detail::Ziggurat& ziggurat = detail::ziggurat();
    Stream more(key_.derive(position, Key::normal_domain));
    for (;; draw = more.bits()) {
      const std::size_t layer = layer_of(draw);
      const double value = width_of(draw) * ziggurat.edge[layer];
      if (std::abs(value) < ziggurat.edge[layer + 1]) {
        return value;
      }
      if (layer == 0) {
        return std::copysign(more.normal_above(ziggurat.tail), value);
      }
      const double bottom = ziggurat.height[layer];
      if (more.uniform() * (ziggurat.height[layer + 1] - bottom) < detail::gaussian(value) - bottom) {
        return value;
      }
    }
  }

  // The normals of the next blocks, two to each: `normal` in lanes. Writes up to a multiple of the lanes.
  void draw_normals(std::size_t blocks, double* firsts, double* seconds) {
    const detail::Ziggurat& ziggurat = detail::ziggurat();
    const auto transform = [&](detail::WordLanes draws, std::uint64_t position, double* values) {
      const detail::WordLanes layers = draws % detail::Ziggurat::layers;
      const auto widths = std::bit_cast<detail::DoubleLanes>(0x4000000000000000U | draws >> 12U) - 3.0;
      const detail::Neighbours edges = detail::look_up(ziggurat.edge.data(), layers);
      const detail::DoubleLanes normals = widths * edges.first;
      std::memcpy(values, &normals, sizeof normals);
      for (unsigned undecided = detail::lanes_beyond(normals, edges.second); undecided != 0;
           undecided &= undecided - 1) {
        const auto lane = static_cast<std::size_t>(std::countr_zero(undecided));
        values[lane] = decide_normal(draws[lane], position + 2 * lane);
      }
    };
    for (std::size_t block = 0; block < blocks; block += detail::lane_count) {
      const std::uint64_t position = position_ + 2 * block;
      const detail::BlockLanes draws = detail::philox4x32_lanes(position / 2, key_.low(), key_.high());
      transform(draws.first, position, firsts + block);
      transform(draws.second, position + 1, seconds + block);
    }
    position_ += 2 * blocks;
  }

  Key key_;
  std::uint64_t position_ = 0;  // 64-bit numbers drawn
  std::array<std::uint32_t, 4> words_{};
};

INCONTEXT_NAMESPACE_END
