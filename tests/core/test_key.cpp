#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::philox4x32;
using incontext::Stream;

namespace {

// Every statistical bound below is five standard errors: a correct generator exceeds one bound with probability 6e-7,
// and the seeds are fixed, so what passes once passes always.
constexpr double standard_errors = 5.0;

std::vector<double> normals(Key key, int count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  Stream(key).fill_normal(values.begin(), values.end());
  return values;
}

double mean_of_products(const std::vector<double>& left, const std::vector<double>& right) {
  double sum = 0.0;
  for (std::size_t index = 0; index < left.size(); ++index) {
    sum += left[index] * right[index];
  }
  return sum / static_cast<double>(left.size());
}

// The standard score of a chi-square statistic with equally likely cells (Wilson and Hilferty 1931: its cube root is
// close to normal). Large when the cells are uneven, very negative when they are too even to be random.
double chi_square_score(const std::vector<int>& cells) {
  double total = 0.0;
  for (const int cell : cells) {
    total += cell;
  }
  const double expected = total / static_cast<double>(cells.size());
  double statistic = 0.0;
  for (const int cell : cells) {
    statistic += (cell - expected) * (cell - expected) / expected;
  }
  const double freedom = static_cast<double>(cells.size()) - 1.0;
  const double spread = 2.0 / (9.0 * freedom);
  return (std::cbrt(statistic / freedom) - (1.0 - spread)) / std::sqrt(spread);
}

// The largest distance between the empirical distribution of `values` and `distribution`, times sqrt(n).
template <class Distribution>
double kolmogorov_distance(std::vector<double> values, Distribution distribution) {
  std::sort(values.begin(), values.end());
  const double count = static_cast<double>(values.size());
  double distance = 0.0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    const double expected = distribution(values[index]);
    distance = (std::max)(distance, std::abs(static_cast<double>(index + 1) / count - expected));
    distance = (std::max)(distance, std::abs(static_cast<double>(index) / count - expected));
  }
  return distance * std::sqrt(count);
}

// P(distance > 2.75) = 2 exp(-2 * 2.75^2) = 5e-7 by Kolmogorov's limit: the same level as five standard errors.
constexpr double kolmogorov_bound = 2.75;

}  // namespace

TEST_CASE("Philox4x32-10 gives Random123's known answers") {
  using Words = std::array<std::uint32_t, 4>;
  static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627E8D5U, 0xE169C58DU, 0xBC57AC4CU, 0x9B00DBD8U});
  constexpr std::uint32_t ones = 0xFFFFFFFFU;
  static_assert(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
                Words{0x408F276DU, 0x41C83B0EU, 0xA20BC7C6U, 0x6D5451FDU});
  static_assert(philox4x32({0x243F6A88U, 0x85A308D3U, 0x13198A2EU, 0x03707344U}, {0xA4093822U, 0x299F31D0U}) ==
                Words{0xD16CFE09U, 0x94FDCCEBU, 0x5001E420U, 0x24126EA1U});
  // The compiler and the processor agree.
  Words counter{0x243F6A88U, 0x85A308D3U, 0x13198A2EU, 0x03707344U};
  CHECK(philox4x32(counter, {0xA4093822U, 0x299F31D0U}) == Words{0xD16CFE09U, 0x94FDCCEBU, 0x5001E420U, 0x24126EA1U});
  // The root stream of seed 0 starts with the answer to zeros, low word first.
  CHECK(Stream(Key{0}).bits() == 0xE169C58D6627E8D5U);
}

TEST_CASE("the first draws are pinned forever") {
  // Computed by an independent implementation in Python's integers. A change here changes every study ever run.
  constexpr Key key = Key{2024}.fold("task").fold(3);
  static_assert(key == Key(0x6D229A4CA8FD515EU, 0xC160E2861CDB2412U));

  Stream bits(key);
  CHECK(bits.bits() == 0x3CA1F970DD1297C3U);
  CHECK(bits.bits() == 0xDE8333CBF60F74B0U);
  CHECK(bits.bits() == 0xAE7CAB8A5F30A300U);
  CHECK(bits.bits() == 0x675A9CA129E7E97BU);

  Stream uniforms(key);
  CHECK(uniforms.uniform() == 0x1.e50fcb86e8948p-3);
  CHECK(uniforms.uniform() == 0x1.bd066797ec1eep-1);
  CHECK(uniforms.uniform() == 0x1.5cf95714be614p-1);

  Stream integers(key);
  for (const Index expected : {236, 869, 681, 403, 279, 566, 338, 286}) {
    CHECK(integers.integer(1000) == expected);
  }
  // A bound of 3 * 2^61 rejects every fourth draw.
  CHECK(integers.integer(Index{3} << 61) == 979776892016447902);
  CHECK(integers.integer(Index{3} << 61) == 6520210237225581287);

  CHECK(Stream(key).permutation(8) == std::vector<Index>{5, 0, 3, 7, 2, 4, 6, 1});

  // So are the normals: they pass through no function of a mathematics library. The implementation in Python, with a
  // ziggurat of 40 digits, agrees to 1e-12. The last four are not decided by the layer alone, and the last two of them
  // come from the tails.
  Stream gaussian(key);
  std::vector<double> drawn(4000);
  gaussian.fill_normal(drawn.begin(), drawn.end());
  const std::vector<std::pair<std::size_t, double>> pinned = {
      {0, -0x1.528fd7b38b88ap-2},    {1, 0x1.a69aa5d7fb63cp+0},    {2, 0x1.98ef48e117bb9p-2},
      {3, -0x1.5d6c9fc027882p-2},    {469, -0x1.37c596b2084efp-4}, {647, 0x1.7d61e131e0e24p+0},
      {1788, -0x1.1dc0aaa43754bp+2}, {3931, 0x1.30efacdac45dcp+2}};
  for (const auto& pin : pinned) {
    CAPTURE(pin.first);
    CHECK(drawn[pin.first] == pin.second);
  }
}

TEST_CASE("streams replay, in any order and interleaved with others") {
  const Key key = Key{7}.fold("data");
  Stream first(key);
  std::vector<double> drawn;
  for (int draw = 0; draw < 100; ++draw) {
    drawn.push_back(first.uniform());
    drawn.push_back(first.normal());
    drawn.push_back(static_cast<double>(first.integer(97)));
  }
  Stream again(key);
  Stream other(key.fold(1));
  for (std::size_t draw = 0; draw < drawn.size(); draw += 3) {
    CHECK(again.uniform() == drawn[draw]);
    other.bits();
    CHECK(again.normal() == drawn[draw + 1]);
    CHECK(static_cast<double>(again.integer(97)) == drawn[draw + 2]);
  }
  // A copy goes on from where it was taken, half of a block included.
  again.normal();
  Stream copy = again;
  CHECK(copy.normal() == again.normal());
  CHECK(copy.bits() == again.bits());
  // Blocks are addressable: the stream is the blocks one after the other.
  Stream bits(key);
  for (std::uint64_t index = 0; index < 10; ++index) {
    const auto block = key.block(index);
    CHECK(bits.bits() == ((std::uint64_t{block[1]} << 32U) | block[0]));
    CHECK(bits.bits() == ((std::uint64_t{block[3]} << 32U) | block[2]));
  }
}

TEST_CASE("a key is stored as its two halves") {
  const Key key = Key{11}.fold("initialisation");
  CHECK(Key(key.high(), key.low()) == key);
  CHECK(Key{11} == Key(11, 0));
  CHECK(Key{} == Key{0});
}

TEST_CASE("folding tells order, numbers, words and seeds apart") {
  constexpr Key key{5};
  static_assert(key.fold(1).fold(2) != key.fold(2).fold(1));
  static_assert(key.fold("task").fold("noise") != key.fold("noise").fold("task"));
  static_assert(key.fold("step").fold(1) != key.fold(1).fold("step"));
  static_assert(key.fold(1) != key.fold("1"));
  static_assert(key.fold("ab") != key.fold("a").fold("b"));
  static_assert(key.fold(0) != key && key.fold("") != key);
  static_assert(key.fold("task") != Key{6}.fold("task"));
  // A number means the same in every integer type.
  static_assert(key.fold(3) == key.fold(std::uint64_t{3}) && key.fold(Index{3}) == key.fold(std::uint8_t{3}));
  static_assert(key.fold(Index{-1}) == key.fold(-1) && key.fold(-1) != key.fold(1));
  // And a word the same in every string type.
  CHECK(key.fold(std::string("task")) == key.fold("task"));
  CHECK(key.fold(std::string(1, '\0')) != key.fold(""));
}

TEST_CASE("number and word folds do not collide, nor do they appear in a stream") {
  // With 400 000 random 64-bit values a chance collision has probability 4e5^2 / 2 / 2^64 = 4e-9: each half of the
  // keys alone must be unique.
  constexpr std::uint64_t count = 100'000;
  const Key root{99};
  std::vector<std::uint64_t> high;
  std::vector<std::uint64_t> low;
  const auto add = [&](Key key) {
    high.push_back(key.high());
    low.push_back(key.low());
  };
  for (std::uint64_t number = 0; number < count; ++number) {
    add(root.fold(number));
    add(root.fold(std::to_string(number)));
    add(root.fold("step").fold(number));
    const auto block = root.block(number);
    add(Key((std::uint64_t{block[1]} << 32U) | block[0], (std::uint64_t{block[3]} << 32U) | block[2]));
  }
  std::sort(high.begin(), high.end());
  std::sort(low.begin(), low.end());
  CHECK(std::adjacent_find(high.begin(), high.end()) == high.end());
  CHECK(std::adjacent_find(low.begin(), low.end()) == low.end());
}

TEST_CASE("streams that differ only in their fold are uncorrelated") {
  const Key root{2024};
  const Key step = root.fold(1);
  const std::vector<std::pair<Key, Key>> pairs = {
      {root, root.fold(0)},                                        // a stream and its child
      {root, root.fold("task")},                                   //
      {root.fold(0), root.fold(1)},                                // neighbouring numbers
      {root.fold(1), root.fold(2)},                                //
      {root.fold(0), root.fold(std::uint64_t{1} << 63U)},          // numbers that differ in the highest bit
      {root.fold("task"), root.fold("data")},                      // roles
      {root.fold("data"), root.fold("noise")},                     //
      {root.fold("data"), root.fold("datb")},                      // words that differ in one bit or letter
      {root.fold(1), root.fold("1")},                              // a number and the word that spells it
      {step.fold("data"), root.fold("data").fold(1)},              // the same folds in another order
      {root.fold(1).fold(2), root.fold(2).fold(1)},                //
      {Key{2024}, Key{2025}},                                      // neighbouring seeds
      {Key{2024}.fold("task"), Key{2025}.fold("task")},            //
      {Key(root.high(), 0), Key(root.high(), 1)},                  // keys that differ in one bit
      {Key(root.high(), 0), Key(root.high() ^ (1ULL << 63U), 0)},  //
  };
  constexpr int count = 20'000;
  const double bound = standard_errors / std::sqrt(count);
  for (std::size_t index = 0; index < pairs.size(); ++index) {
    CAPTURE(index);
    std::vector<double> left = normals(pairs[index].first, count);
    std::vector<double> right = normals(pairs[index].second, count);
    CHECK(std::abs(mean_of_products(left, right)) < bound);
    // Shifted by one draw either way, and by one block.
    for (const int shift : {1, 2}) {
      std::rotate(right.begin(), right.begin() + shift, right.end());
      CHECK(std::abs(mean_of_products(left, right)) < bound);
    }
    std::rotate(left.begin(), left.begin() + 4, left.end());
    CHECK(std::abs(mean_of_products(left, right)) < bound);

    // Bit by bit: two independent streams agree in half of the draws, with variance n / 4.
    Stream first(pairs[index].first);
    Stream second(pairs[index].second);
    std::array<int, 64> agreements{};
    for (int draw = 0; draw < count; ++draw) {
      const std::uint64_t equal = ~(first.bits() ^ second.bits());
      for (std::size_t bit = 0; bit < 64; ++bit) {
        agreements[bit] += static_cast<int>((equal >> bit) & 1U);
      }
    }
    const double most = *std::max_element(agreements.begin(), agreements.end());
    const double least = *std::min_element(agreements.begin(), agreements.end());
    CHECK(most < count / 2.0 + standard_errors * std::sqrt(count) / 2.0);
    CHECK(least > count / 2.0 - standard_errors * std::sqrt(count) / 2.0);
  }
}

TEST_CASE("the first draw of many folded keys is itself a random sample") {
  // What a batch does: one key a prompt, few draws from each.
  std::vector<double> uniforms;
  for (int number = 0; number < 100'000; ++number) {
    uniforms.push_back(Stream(Key{1}.fold("data").fold(number)).uniform());
  }
  CHECK(kolmogorov_distance(uniforms, [](double value) { return value; }) < kolmogorov_bound);
  std::vector<double> shifted = uniforms;
  std::rotate(shifted.begin(), shifted.begin() + 1, shifted.end());
  // Var of the product of independent uniforms about their means is 1/144.
  for (std::size_t index = 0; index < uniforms.size(); ++index) {
    uniforms[index] -= 0.5;
    shifted[index] -= 0.5;
  }
  CHECK(std::abs(mean_of_products(uniforms, shifted)) < standard_errors / 12.0 / std::sqrt(100'000.0));
}

TEST_CASE("uniform is uniform on [0, 1) in steps of 2^-53") {
  Stream stream(Key{3});
  std::vector<double> values(200'000);
  bool in_range = true;
  bool on_grid = true;
  for (double& value : values) {
    value = stream.uniform();
    in_range = in_range && value >= 0.0 && value < 1.0;
    on_grid = on_grid && std::ldexp(value, 53) == std::floor(std::ldexp(value, 53));
  }
  CHECK(in_range);
  CHECK(on_grid);
  CHECK(kolmogorov_distance(values, [](double value) { return value; }) < kolmogorov_bound);

  Stream scaled(Key{3});
  for (std::size_t index = 0; index < 100; ++index) {
    CHECK(scaled.uniform(-2.0, 6.0) == -2.0 + 8.0 * values[index]);
  }
}

TEST_CASE("normals have the moments and the tails of the standard normal") {
  constexpr int count = 400'000;
  const std::vector<double> values = normals(Key{4}.fold("noise"), count);
  const double root = std::sqrt(static_cast<double>(count));
  std::array<double, 5> moments{};
  for (const double value : values) {
    double power = 1.0;
    for (double& moment : moments) {
      moment += power / count;
      power *= value;
    }
  }
  // The moments about zero of the standard normal are 0, 1, 0, 3, and Var z^k = E z^2k - (E z^k)^2 = 1, 2, 15, 96.
  CHECK(std::abs(moments[1]) < standard_errors / root);
  CHECK(std::abs(moments[2] - 1.0) < standard_errors * std::sqrt(2.0) / root);
  CHECK(std::abs(moments[3]) < standard_errors * std::sqrt(15.0) / root);
  CHECK(std::abs(moments[4] - 3.0) < standard_errors * std::sqrt(96.0) / root);
  // Skewness and excess kurtosis about the sample's own mean have variances 6 / n and 24 / n.
  const double variance = moments[2] - moments[1] * moments[1];
  const double third = moments[3] - 3.0 * moments[1] * moments[2] + 2.0 * std::pow(moments[1], 3);
  const double fourth = moments[4] - 4.0 * moments[1] * moments[3] + 6.0 * moments[1] * moments[1] * moments[2] -
                        3.0 * std::pow(moments[1], 4);
  CHECK(std::abs(third / std::pow(variance, 1.5)) < standard_errors * std::sqrt(6.0) / root);
  CHECK(std::abs(fourth / (variance * variance) - 3.0) < standard_errors * std::sqrt(24.0) / root);

  for (const double threshold : {0.5, 1.0, 2.0, 3.0, 4.0}) {
    CAPTURE(threshold);
    const double probability = 0.5 * std::erfc(threshold / std::sqrt(2.0));
    const double error = std::sqrt(probability * (1.0 - probability)) / root;
    const auto share = [&](auto beyond) {
      return static_cast<double>(std::count_if(values.begin(), values.end(), beyond)) / count;
    };
    CHECK(std::abs(share([&](double value) { return value > threshold; }) - probability) < standard_errors * error);
    CHECK(std::abs(share([&](double value) { return value < -threshold; }) - probability) < standard_errors * error);
  }
  CHECK(kolmogorov_distance(values, [](double value) { return 0.5 * std::erfc(-value / std::sqrt(2.0)); }) <
        kolmogorov_bound);
}

TEST_CASE("normals fill equally likely cells evenly, and the far tails as they should") {
  constexpr std::size_t cells = 1000;
  constexpr int count = 1 << 21;
  std::vector<double> values(count);
  Stream stream(Key{15});
  std::vector<int> drawn(cells, 0);
  std::vector<int> beyond(6, 0);
  constexpr int rounds = 8;
  for (int round = 0; round < rounds; ++round) {
    stream.fill_normal(values.begin(), values.end());
    for (const double value : values) {
      for (std::size_t bound = 4; bound < beyond.size() && std::abs(value) > static_cast<double>(bound); ++bound) {
        ++beyond[bound];
      }
    }
  }
  for (const double value : values) {
    const double position = 0.5 * std::erfc(-value / std::sqrt(2.0));
    ++drawn[(std::min)(static_cast<std::size_t>(position * static_cast<double>(cells)), cells - 1)];
  }
  CHECK(std::abs(chi_square_score(drawn)) < standard_errors);
  // Beyond 4, 1063 are expected; beyond 5, 9.6, of which a Poisson variable is above 28 or below 0 once in a million.
  const double expected = static_cast<double>(rounds) * count * std::erfc(4.0 / std::sqrt(2.0));
  CHECK(std::abs(beyond[4] - expected) < standard_errors * std::sqrt(expected));
  CHECK(beyond[5] <= 28);
}

TEST_CASE("normals above a bound are the tail of the normal distribution, however far") {
  for (const double bound : {0.5, 4.0388498461095045, 8.0, 30.0}) {
    CAPTURE(bound);
    Stream stream(Key{16});
    std::vector<double> values(100'000);
    std::generate(values.begin(), values.end(), [&] { return stream.normal_above(bound); });
    CHECK(*std::min_element(values.begin(), values.end()) >= bound);
    const double mass = std::erfc(bound / std::sqrt(2.0));
    CHECK(kolmogorov_distance(values, [&](double value) { return 1.0 - std::erfc(value / std::sqrt(2.0)) / mass; }) <
          kolmogorov_bound);
  }
}

TEST_CASE("exponentials have the distribution 1 - exp(-x)") {
  Stream stream(Key{17});
  std::vector<double> values(400'000);
  std::generate(values.begin(), values.end(), [&] { return stream.exponential(); });
  CHECK(kolmogorov_distance(values, [](double value) { return -std::expm1(-value); }) < kolmogorov_bound);
  // P(x > 8) = 3.4e-4.
  const double expected = static_cast<double>(values.size()) * std::exp(-8.0);
  const auto far = std::count_if(values.begin(), values.end(), [](double value) { return value > 8.0; });
  CHECK(std::abs(static_cast<double>(far) - expected) < standard_errors * std::sqrt(expected));
}

TEST_CASE("the two normals of one block are independent") {
  constexpr int pairs = 100'000;
  const std::vector<double> values = normals(Key{5}, 2 * pairs);
  double product = 0.0;
  double squares = 0.0;
  for (std::size_t index = 0; index < values.size(); index += 2) {
    const double left = values[index];
    const double right = values[index + 1];
    product += left * right / pairs;
    squares += (left * left - 1.0) * (right * right - 1.0) / pairs;
  }
  // Var(zw) = 1 and Var((z^2 - 1)(w^2 - 1)) = 2 * 2.
  CHECK(std::abs(product) < standard_errors / std::sqrt(static_cast<double>(pairs)));
  CHECK(std::abs(squares) < standard_errors * 2.0 / std::sqrt(static_cast<double>(pairs)));
}

TEST_CASE("fill_normal draws the normals in order, scaled, in the scalar type of the range") {
  Stream stream(Key{6});
  std::vector<float> filled(7);
  Stream(Key{6}).fill_normal(filled.begin(), filled.end(), 0.25);
  for (const float value : filled) {
    CHECK(value == static_cast<float>(0.25 * stream.normal()));
  }
}

TEST_CASE("many normals at once have the bits of as many one by one, wherever they start and end") {
  std::vector<double> filled(700);
  for (std::size_t before = 0; before < 4; ++before) {
    for (const std::size_t count : {0U, 1U, 2U, 3U, 15U, 16U, 17U, 41U, 63U, 64U, 65U, 66U, 129U, 700U}) {
      CAPTURE(before);
      CAPTURE(count);
      Stream many(Key{18}.fold(count));
      for (std::size_t draw = 0; draw < before; ++draw) {
        many.bits();
      }
      Stream one = many;
      std::fill(filled.begin(), filled.end(), 1e9);
      many.fill_normal(filled.begin(), filled.begin() + static_cast<Index>(count));
      bool same = true;
      for (std::size_t index = 0; index < count; ++index) {
        same = same && filled[index] == one.normal();
      }
      CHECK(same);
      CHECK(std::count(filled.begin(), filled.end(), 1e9) == static_cast<Index>(filled.size() - count));
      CHECK(many.bits() == one.bits());
    }
  }
}

TEST_CASE("a normal takes one number from its stream, decided by the layer or not") {
  // Of 100 000 normals, some 430 need more numbers.
  Stream gaussian(Key{19});
  Stream bits(Key{19});
  for (int draw = 0; draw < 100'000; ++draw) {
    gaussian.normal();
    bits.bits();
  }
  CHECK(gaussian.bits() == bits.bits());
}

TEST_CASE("integers are unbiased") {
  for (const Index bound : {2, 3, 7, 10, 64, 1000}) {
    CAPTURE(bound);
    Stream stream(Key{8}.fold(bound));
    std::vector<int> cells(static_cast<std::size_t>(bound), 0);
    for (Index draw = 0; draw < 50 * bound + 50'000; ++draw) {
      const Index value = stream.integer(bound);
      REQUIRE(value >= 0);
      REQUIRE(value < bound);
      ++cells[static_cast<std::size_t>(value)];
    }
    CHECK(std::abs(chi_square_score(cells)) < standard_errors);
  }
  // Without rejection, 3 * 2^61 would give the remainders 0, 1 and 2 with odds 3 : 3 : 2.
  Stream stream(Key{9});
  std::vector<int> remainders(3, 0);
  for (int draw = 0; draw < 30'000; ++draw) {
    ++remainders[static_cast<std::size_t>(stream.integer(Index{3} << 61) % 3)];
  }
  CHECK(std::abs(chi_square_score(remainders)) < standard_errors);
}

#if defined(__SIZEOF_INT128__)
TEST_CASE("integers are the high half of the 128-bit product, short interval rejected") {
  __extension__ using Wide = unsigned __int128;
  const Index largest = (std::numeric_limits<Index>::max)();
  for (const Index bound : {Index{1}, Index{5}, (Index{1} << 32) - 1, Index{1} << 32, (Index{1} << 32) + 1,
                            Index{3} << 61, largest - 1, largest}) {
    CAPTURE(bound);
    Stream stream(Key{10}.fold(bound));
    Stream replay(Key{10}.fold(bound));
    const auto range = static_cast<std::uint64_t>(bound);
    const std::uint64_t rejected = static_cast<std::uint64_t>((Wide{1} << 64U) % range);
    for (int draw = 0; draw < 1000; ++draw) {
      Wide product = Wide{replay.bits()} * range;
      while (static_cast<std::uint64_t>(product) < rejected) {
        product = Wide{replay.bits()} * range;
      }
      REQUIRE(stream.integer(bound) == static_cast<Index>(product >> 64U));
    }
  }
}
#endif

TEST_CASE("an integer below 1 is 0, and bounds below 1 are refused by name") {
  Stream stream(Key{12});
  for (int draw = 0; draw < 100; ++draw) {
    CHECK(stream.integer(1) == 0);
  }
  CHECK_THROWS_WITH_AS(stream.integer(0), "Stream::integer: bound is 0, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(stream.integer(-3), "Stream::integer: bound is -3, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(stream.permutation(-1), "Stream::permutation: count is -1, expected at least 0",
                       ConfigurationError);
}

TEST_CASE("permutations are permutations, all equally likely") {
  for (const Index count : {0, 1, 2, 17, 1000}) {
    CAPTURE(count);
    std::vector<Index> order = Stream(Key{13}).permutation(count);
    CHECK(static_cast<Index>(order.size()) == count);
    std::sort(order.begin(), order.end());
    bool complete = true;
    for (std::size_t index = 0; index < order.size(); ++index) {
      complete = complete && order[index] == static_cast<Index>(index);
    }
    CHECK(complete);
  }
  // All 24 orders of four things, numbered by the digits of the permutation.
  Stream stream(Key{14});
  std::vector<int> cells(256, 0);
  for (int draw = 0; draw < 48'000; ++draw) {
    std::size_t number = 0;
    for (const Index item : stream.permutation(4)) {
      number = number * 4 + static_cast<std::size_t>(item);
    }
    ++cells[number];
  }
  cells.erase(std::remove(cells.begin(), cells.end(), 0), cells.end());
  REQUIRE(cells.size() == 24);
  CHECK(std::abs(chi_square_score(cells)) < standard_errors);
}
