#include "incontext/nn/log_softmax.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace incontext;

TEST_CASE("log softmax: probabilities sum to one, keep the logits' differences, and no constant changes them") {
  const std::vector<double> logits = {0.5, -2.0, 3.0, 1000.0};
  std::vector<double> logs(3);
  log_softmax(logits.data(), logs);
  CHECK(std::exp(logs[0]) + std::exp(logs[1]) + std::exp(logs[2]) == doctest::Approx(1.0));
  CHECK(logs[2] - logs[1] == doctest::Approx(5.0));
  const std::vector<double> shifted = {1000.5, 998.0, 1003.0};  // whose exponentials overflow
  std::vector<double> others(3);
  log_softmax(shifted.data(), others);
  for (std::size_t token = 0; token < 3; ++token) {
    CHECK(others[token] == doctest::Approx(logs[token]));
  }
}
