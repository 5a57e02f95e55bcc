#include "incontext/optim/schedule.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using incontext::ConfigurationError;
using incontext::constant_rate;
using incontext::cosine;
using incontext::Index;
using incontext::linear_warmup;
using incontext::Schedule;
using incontext::triangle;

namespace {

static_assert(Schedule<incontext::Constant> && Schedule<incontext::LinearWarmup> && Schedule<incontext::Cosine> &&
              Schedule<incontext::Triangle> && !Schedule<int>);

template <class Kind>
bool rises(const Kind& schedule, Index first, Index last) {
  for (Index step = first; step < last; ++step) {
    if (!(schedule(step) < schedule(step + 1))) {
      return false;
    }
  }
  return true;
}
template <class Kind>
bool falls(const Kind& schedule, Index first, Index last) {
  for (Index step = first; step < last; ++step) {
    if (!(schedule(step) > schedule(step + 1))) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("a constant is constant") {
  CHECK(constant_rate(0.3)(0) == 0.3);
  CHECK(constant_rate(0.3)(1'000'000'000) == 0.3);
  CHECK(constant_rate(0.0)(5) == 0.0);
  CHECK(constant_rate(0.3).describe() == "constant(0.3)");
}

TEST_CASE("linear warm-up rises in equal steps and stays") {
  const auto schedule = linear_warmup(0.8, 4);
  CHECK(schedule(0) == doctest::Approx(0.2));
  CHECK(schedule(1) == doctest::Approx(0.4));
  CHECK(schedule(2) == doctest::Approx(0.6));
  CHECK(schedule(3) == 0.8);
  CHECK(schedule(4) == 0.8);
  CHECK(schedule(1000) == 0.8);
  CHECK(linear_warmup(0.8, 1)(0) == 0.8);
  CHECK(schedule.describe() == "linear_warmup(0.8, 4)");
}

TEST_CASE("a cosine falls from the rate to zero, half of it at half the time") {
  const auto schedule = cosine(0.8, 100);
  CHECK(schedule(0) == 0.8);
  CHECK(schedule(50) == doctest::Approx(0.4));
  CHECK(schedule(25) == doctest::Approx(0.4 * (1.0 + std::sqrt(0.5))));
  CHECK(schedule(99) > 0.0);
  CHECK(schedule(100) == 0.0);
  CHECK(schedule(1000) == 0.0);
  CHECK(falls(schedule, 0, 100));
  CHECK(schedule.describe() == "cosine(0.8, 100, 0)");
}

TEST_CASE("a cosine with warm-up meets the rate where the warm-up ends") {
  const auto schedule = cosine(0.8, 100, 20);
  CHECK(schedule(0) == doctest::Approx(0.04));
  CHECK(rises(schedule, 0, 19));
  CHECK(schedule(19) == 0.8);
  CHECK(schedule(20) == 0.8);
  CHECK(schedule(60) == doctest::Approx(0.4));
  CHECK(falls(schedule, 20, 100));
  CHECK(schedule(100) == 0.0);
}

TEST_CASE("a triangle rises to its peak and falls to zero") {
  const auto schedule = triangle(0.9, 10, 4);
  CHECK(schedule(0) == doctest::Approx(0.225));
  CHECK(rises(schedule, 0, 3));
  CHECK(schedule(3) == doctest::Approx(0.9));
  CHECK(schedule(4) == doctest::Approx(0.9));
  CHECK(falls(schedule, 4, 10));
  CHECK(schedule(7) == doctest::Approx(0.45));
  CHECK(schedule(9) == doctest::Approx(0.15));
  CHECK(schedule(10) == 0.0);
  CHECK(schedule(1000) == 0.0);
  CHECK(schedule.describe() == "triangle(0.9, 10, 4)");
}

TEST_CASE("no schedule leaves the range from zero to its rate") {
  const auto stays = [](const auto& schedule) {
    for (Index step = 0; step < 120; ++step) {
      if (!(schedule(step) >= 0.0 && schedule(step) <= 0.7)) {
        return false;
      }
    }
    return true;
  };
  for (const Index inner : {1, 2, 50, 98}) {
    CHECK(stays(triangle(0.7, 99, inner)));
    CHECK(stays(cosine(0.7, 99, inner)));
    CHECK(stays(linear_warmup(0.7, inner)));
  }
}

TEST_CASE("schedules that make no sense are refused, and the message names the value") {
  CHECK_THROWS_WITH_AS((void)constant_rate(-1.0),
                       "constant: the learning rate is -1, expected a finite number of at least 0", ConfigurationError);
  CHECK_THROWS_AS((void)constant_rate(std::nan("")), ConfigurationError);
  CHECK_THROWS_AS((void)linear_warmup(std::numeric_limits<double>::infinity(), 1), ConfigurationError);
  CHECK_THROWS_WITH_AS((void)linear_warmup(0.1, 0), "linear_warmup: steps is 0, expected at least 1",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS((void)cosine(0.1, 0), "cosine: steps is 0, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS((void)cosine(0.1, 10, 10), "cosine: warmup is 10, expected within [0, 10)", ConfigurationError);
  CHECK_THROWS_AS((void)cosine(0.1, 10, -1), ConfigurationError);
  CHECK_THROWS_WITH_AS((void)triangle(0.1, 1, 1), "triangle: steps is 1, expected at least 2", ConfigurationError);
  CHECK_THROWS_WITH_AS((void)triangle(0.1, 10, 0), "triangle: peak is 0, expected within [1, 10)", ConfigurationError);
  CHECK_THROWS_AS((void)triangle(0.1, 10, 10), ConfigurationError);
}
