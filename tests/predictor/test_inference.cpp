#include "incontext/predictor/inference.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

using namespace incontext;

TEST_CASE("half_log_two_pi is half the logarithm of two pi") {
  CHECK(std::abs(half_log_two_pi - 0.5 * std::log(8.0 * std::atan(1.0))) <= std::numeric_limits<double>::epsilon());
}

TEST_CASE("noise is 0, or large enough to divide by") {
  CHECK_NOTHROW(require_noise("Ridge", 0.0));
  CHECK_NOTHROW(require_noise("Ridge", smallest_noise));
  CHECK_NOTHROW(require_noise("Ridge", 1e6));
  CHECK_THROWS_WITH_AS(require_noise("Ridge", -0.5), doctest::Contains("Ridge: noise is -0.5"), ConfigurationError);
  CHECK_THROWS_AS(require_noise("Ridge", 1e-101), ConfigurationError);
  CHECK_THROWS_AS(require_noise("Ridge", std::numeric_limits<double>::infinity()), ConfigurationError);
  CHECK_THROWS_AS(require_noise("Ridge", std::numeric_limits<double>::quiet_NaN()), ConfigurationError);
}

TEST_CASE("a density needs noise, and a prior needs a scale") {
  CHECK_NOTHROW(require_density("Ridge", 0.5));
  CHECK_THROWS_WITH_AS(require_density("Ridge", 0.0), doctest::Contains("Ridge: noise is 0"), ConfigurationError);
  CHECK_NOTHROW(require_weight_scale("Ridge", 2.0));
  CHECK_THROWS_WITH_AS(require_weight_scale("Ridge", 0.0), doctest::Contains("Ridge: weight_scale is 0"),
                       ConfigurationError);
  CHECK_THROWS_AS(require_weight_scale("Ridge", -1.0), ConfigurationError);
  CHECK_THROWS_AS(require_weight_scale("Ridge", std::numeric_limits<double>::infinity()), ConfigurationError);
}
