// That the tiles do what the manual says, be they the processor's or those of tile_instructions.cpp.

#include "incontext/core/config.hpp"
#include "incontext/simd/matrix_unit.hpp"

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace {

using incontext::Index;
using incontext::MatrixUnit;

struct alignas(64) Configuration {
  std::array<std::uint8_t, 64> bytes{};
};

// Tile 0 is [rows, columns] of floats, tile 1 [rows, pairs], tile 2 [pairs, columns].
Configuration configuration_of(int rows, int columns, int pairs) {
  Configuration configuration;
  const auto shape = [&](std::size_t tile, int tile_rows, int tile_columns) {
    configuration.bytes[16 + 2 * tile] = static_cast<std::uint8_t>(4 * tile_columns);
    configuration.bytes[48 + tile] = static_cast<std::uint8_t>(tile_rows);
  };
  configuration.bytes[0] = 1;
  shape(0, rows, columns);
  shape(1, rows, pairs);
  shape(2, pairs, columns);
  return configuration;
}

// The signal that ends a process which does this, 0 for none.
template <class Action>
int signal_of(Action action) {
  const pid_t child = fork();
  if (child == 0) {
    action();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("this program computes with tiles") { CHECK(MatrixUnit::is_present()); }

TEST_CASE("a tile is loaded and stored row by row, at any stride, and nothing beside it is written") {
  const Configuration configuration = configuration_of(3, 5, 2);
  for (const Index stride : {5, 7, 16}) {
    std::vector<float> source(static_cast<std::size_t>(3 * stride));
    for (std::size_t index = 0; index < source.size(); ++index) {
      source[index] = static_cast<float>(index + 1);
    }
    std::vector<float> target(source.size(), -1.0F);
    _tile_loadconfig(&configuration);
    _tile_loadd(0, source.data(), static_cast<std::size_t>(stride) * sizeof(float));
    _tile_stored(0, target.data(), static_cast<std::size_t>(stride) * sizeof(float));
    _tile_release();
    for (Index row = 0; row < 3; ++row) {
      for (Index column = 0; column < stride; ++column) {
        const auto place = static_cast<std::size_t>(row * stride + column);
        CHECK(target[place] == (column < 5 ? source[place] : -1.0F));
      }
    }
  }
}

TEST_CASE("a tile of sums gains the product of two tiles of pairs") {
  // Small integers: every order of summation gives the same.
  constexpr int rows = 4;
  constexpr int columns = 6;
  constexpr int pairs = 3;
  const Configuration configuration = configuration_of(rows, columns, pairs);
  std::array<std::array<std::uint16_t, 2 * pairs>, rows> a{};
  std::array<std::array<std::uint16_t, 2 * columns>, pairs> b{};
  std::array<std::array<float, columns>, rows> c{};
  std::array<std::array<float, columns>, rows> expected{};
  const auto a_value = [](int row, int inner) { return static_cast<float>((7 * row + 3 * inner) % 11 - 5); };
  const auto b_value = [](int inner, int column) { return static_cast<float>((5 * inner + 2 * column) % 13 - 6); };
  for (int inner = 0; inner < 2 * pairs; ++inner) {
    for (int row = 0; row < rows; ++row) {
      a[std::size_t(row)][std::size_t(inner)] = incontext::to_bfloat16(a_value(row, inner));
    }
    for (int column = 0; column < columns; ++column) {
      b[std::size_t(inner / 2)][std::size_t(2 * column + inner % 2)] = incontext::to_bfloat16(b_value(inner, column));
    }
  }
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      c[std::size_t(row)][std::size_t(column)] = static_cast<float>(row - column);
      expected[std::size_t(row)][std::size_t(column)] = static_cast<float>(row - column);
      for (int inner = 0; inner < 2 * pairs; ++inner) {
        expected[std::size_t(row)][std::size_t(column)] += a_value(row, inner) * b_value(inner, column);
      }
    }
  }
  _tile_loadconfig(&configuration);
  _tile_loadd(0, c.data(), sizeof(c[0]));
  _tile_loadd(1, a.data(), sizeof(a[0]));
  _tile_loadd(2, b.data(), sizeof(b[0]));
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, c.data(), sizeof(c[0]));
  CHECK(c == expected);
  _tile_zero(0);
  _tile_stored(0, c.data(), sizeof(c[0]));
  _tile_release();
  CHECK(c == decltype(c){});
}

TEST_CASE("tiles that are not configured, or wrongly, end the program") {
  REQUIRE(MatrixUnit::is_present());
  const Configuration right = configuration_of(4, 6, 3);
  CHECK(signal_of([&] {
          _tile_loadconfig(&right);
          _tile_zero(0);
          _tile_release();
        }) == 0);
  CHECK(signal_of([] { _tile_zero(0); }) == SIGILL);
  CHECK(signal_of([&] {
          _tile_loadconfig(&right);
          _tile_release();
          _tile_zero(0);
        }) == SIGILL);
  CHECK(signal_of([&] {
          _tile_loadconfig(&right);
          _tile_zero(3);
        }) == SIGILL);
  CHECK(signal_of([&] {
          _tile_loadconfig(&right);
          _tile_dpbf16ps(0, 2, 1);
        }) == SIGILL);
  // What is left of a configuration whose stores were optimised away: zeros, which stand for no tiles at all.
  const Configuration empty;
  CHECK(signal_of([&] {
          _tile_loadconfig(&empty);
          _tile_zero(0);
        }) == SIGILL);
  for (const std::size_t reserved : {2U, 15U, 32U, 47U, 56U, 63U}) {
    Configuration wrong = right;
    wrong.bytes[reserved] = 1;
    CHECK(signal_of([&] { _tile_loadconfig(&wrong); }) == SIGSEGV);
  }
}
