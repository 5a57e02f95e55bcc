#include "incontext/task/curriculum.hpp"

#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

using incontext::ConfigurationError;
using incontext::Curriculum;
using incontext::Extent;
using incontext::Growth;
using incontext::Index;

TEST_CASE("a size grows by its increment every interval, up to the full size") {
  const Growth growth{.start = 5, .increment = 2, .interval = 100};
  CHECK(growth.at(0, 20) == 5);
  CHECK(growth.at(99, 20) == 5);
  CHECK(growth.at(100, 20) == 7);
  CHECK(growth.at(799, 20) == 19);
  CHECK(growth.at(800, 20) == 20);  // 21 would be too much
  CHECK(growth.at(1'000'000, 20) == 20);
  CHECK(growth.at(0, 3) == 3);
}

TEST_CASE("no start means the full size from the beginning") {
  CHECK(Growth{}.at(0, 20) == 20);
  CHECK(Growth{.start = 0, .increment = 1, .interval = 1}.at(5, 20) == 20);
  CHECK(Curriculum{}.is_trivial());
  CHECK_FALSE(Curriculum{.dimension = {.start = 1}, .points = {}}.is_trivial());
  CHECK_FALSE(Curriculum{.dimension = {}, .points = {.start = 1}}.is_trivial());
}

TEST_CASE("the curriculum of Garg et al. 2022 at 20 dimensions") {
  const Curriculum curriculum{.dimension = {.start = 5, .increment = 1, .interval = 2000},
                              .points = {.start = 11, .increment = 2, .interval = 2000}};
  const Extent full{.dimension = 20, .points = 41};
  CHECK(curriculum.at(0, full) == Extent{.dimension = 5, .points = 11});
  CHECK(curriculum.at(1999, full) == Extent{.dimension = 5, .points = 11});
  CHECK(curriculum.at(2000, full) == Extent{.dimension = 6, .points = 13});
  CHECK(curriculum.at(29'999, full) == Extent{.dimension = 19, .points = 39});
  CHECK(curriculum.at(30'000, full) == full);
  CHECK(curriculum.at(500'000, full) == full);
}

TEST_CASE("what a curriculum gives is an extent that a task takes, and never shrinks") {
  const incontext::LinearRegression task{{.dimension = 4, .points = 9}};
  const Curriculum curriculum{.dimension = {.start = 1, .increment = 3, .interval = 2},
                              .points = {.start = 2, .increment = 5, .interval = 3}};
  Extent last;
  for (Index step = 0; step < 12; ++step) {
    const Extent extent = curriculum.at(step, task.extent());
    CHECK(task.restricted(extent).extent() == extent);
    CHECK(extent.dimension >= last.dimension);
    CHECK(extent.points >= last.points);
    last = extent;
  }
  CHECK(last == task.extent());
}

TEST_CASE("a growth that makes no sense is refused") {
  CHECK_THROWS_WITH_AS((void)(Growth{.start = 5, .increment = 0, .interval = 10}.at(0, 20)),
                       "Growth: start, increment and interval are 5, 0 and 10, expected at least 1",
                       ConfigurationError);
  CHECK_THROWS_AS((void)(Growth{.start = -1, .increment = 1, .interval = 10}.at(0, 20)), ConfigurationError);
  CHECK_THROWS_AS((void)(Growth{.start = 5, .increment = 1, .interval = 0}.at(0, 20)), ConfigurationError);
}
