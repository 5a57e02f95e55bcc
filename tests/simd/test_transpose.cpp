#include "incontext/simd/transpose.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

using incontext::Index;
using incontext::transpose_block;
using incontext::transposed_block;

TEST_CASE_TEMPLATE("a block is transposed, whatever the strides, and nothing beside it is written", Number, float,
                   double, std::uint32_t) {
  for (const Index source_stride : {16, 19}) {
    for (const Index target_stride : {16, 21, 32}) {
      CAPTURE(source_stride);
      CAPTURE(target_stride);
      const auto number_at = [](Index row, Index column) { return static_cast<Number>(1000 * (row + 1) + column); };
      const auto untouched = static_cast<Number>(7);
      std::vector<Number> source(static_cast<std::size_t>(transposed_block * source_stride));
      std::vector<Number> target(static_cast<std::size_t>(transposed_block * target_stride), untouched);
      std::vector<Number> expected = target;
      for (Index row = 0; row < transposed_block; ++row) {
        for (Index column = 0; column < transposed_block; ++column) {
          source[static_cast<std::size_t>(row * source_stride + column)] = number_at(row, column);
          expected[static_cast<std::size_t>(row * target_stride + column)] = number_at(column, row);
        }
      }
      transpose_block(source.data(), source_stride, target.data(), target_stride);
      CHECK(target == expected);
      // Rows that are not there are zeros, and not read.
      source.resize(static_cast<std::size_t>(5 * source_stride));
      for (Index row = 5; row < transposed_block; ++row) {
        for (Index column = 0; column < transposed_block; ++column) {
          expected[static_cast<std::size_t>(column * target_stride + row)] = Number{};
        }
      }
      transpose_block(source.data(), source_stride, target.data(), target_stride, 5);
      CHECK(target == expected);
    }
  }
}
