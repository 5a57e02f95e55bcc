#pragma once
/// \file
/// Counts heap allocations, so that a test can say that a piece of code makes none. Linking `allocation_counter.cpp`
/// into a test program counts its calls of `malloc`, which on Linux are also those of `operator new`, over-aligned or
/// not, and those of Eigen. Elsewhere only `operator new` is seen.

#include <cstddef>

namespace incontext_test {

/// The number of allocations since the program started, on all threads: never to be read alone, only as a difference.
[[nodiscard]] std::size_t allocation_count() noexcept;

/// The number of allocations that `work` makes.
template <class Work>
[[nodiscard]] std::size_t allocations_of(Work&& work) {
  const std::size_t before = allocation_count();
  work();
  return allocation_count() - before;
}

}  // namespace incontext_test
