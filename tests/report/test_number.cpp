#include "incontext/report/number.hpp"

#include "incontext/core/key.hpp"

#include <doctest/doctest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

using namespace incontext;

TEST_CASE("the shortest text reads back as the same bits") {
  Stream stream(Key{1});
  for (int trial = 0; trial < 1000; ++trial) {
    const double value = stream.normal() * std::pow(10.0, stream.uniform(-300.0, 300.0));
    const std::string text = shortest_text(value);
    double read = 0.0;
    std::from_chars(text.data(), text.data() + text.size(), read);
    CHECK(read == value);
  }
  CHECK(shortest_text(0.1) == "0.1");
  CHECK(shortest_text(-std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(shortest_text(-std::numeric_limits<double>::infinity()) == "-inf");
}

TEST_CASE("significant digits") {
  CHECK(significant_text(1.5) == "1.50");
  CHECK(significant_text(12345.0) == "12300");
  CHECK(significant_text(9.996) == "10.0");
  CHECK(significant_text(999.6) == "1000");
  CHECK(significant_text(-0.00123456, 2) == "-0.0012");
  CHECK(significant_text(0.0) == "0.00");
  CHECK(significant_text(1e-5) == "1.00e-05");
  CHECK(significant_text(123456789.0) == "1.23e+08");
  CHECK(significant_text(7.0, 1) == "7");
  CHECK(significant_text(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK_THROWS_AS(static_cast<void>(significant_text(1.0, 0)), ConfigurationError);
}

TEST_CASE("counts have a comma between thousands") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1,000");
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(-100) == "-100");
  CHECK(count_text(-1000) == "-1,000");
}
