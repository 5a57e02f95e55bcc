#include "incontext/optim/clip_norm.hpp"

#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using incontext::clip_norm;
using incontext::ConfigurationError;
using incontext::global_norm;
using incontext::Index;
using incontext::Key;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
using incontext_tests::updated;
using incontext_tests::visited;

TEST_CASE_TEMPLATE("the global norm is Euclidean over all tensors, in double", Scalar, float, double) {
  ParameterBuffer<Scalar> buffer(incontext_tests::example_layout());
  CHECK(global_norm(buffer) == 0.0);
  buffer.view("h.0.c_attn.weight")(2, 6) = Scalar(3);
  buffer.view("read_out.weight")(0, 1) = Scalar(-4);
  CHECK(global_norm(buffer) == 5.0);
  // The square of this overflows float.
  buffer.view("read_out.weight")(0, 1) = Scalar(1e30);
  CHECK(global_norm(buffer) == doctest::Approx(1e30).epsilon(1e-7));
  buffer.view("h.0.c_attn.bias")(0, 0) = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(std::isnan(global_norm(buffer)));
}

TEST_CASE_TEMPLATE("clipping scales what is too long and leaves the rest, bit for bit", Scalar, float, double) {
  const auto gradient = example_buffer<Scalar>(Key{1});
  const double norm = global_norm(gradient);
  CHECK(updated(clip_norm(1.0001 * norm), gradient, gradient) == gradient);
  const auto clipped = updated(clip_norm(0.25 * norm), gradient, gradient);
  // The factor is rounded once, and each product once.
  const double bound = 2.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  CHECK(std::abs(global_norm(clipped) / (0.25 * norm) - 1.0) <= bound);
  for (Index index = 0; index < gradient.size(); ++index) {
    const double expected = 0.25 * static_cast<double>(gradient.data()[index]);
    CHECK(std::abs(static_cast<double>(clipped.data()[index]) - expected) <= bound * std::abs(expected));
  }
}

TEST_CASE("clipping says what it is, keeps nothing, and refuses a norm that makes no sense") {
  CHECK(clip_norm(1.5).describe() == "clip_norm(1.5)");
  CHECK(visited(clip_norm(1.0)).empty());
  CHECK_THROWS_WITH_AS((void)clip_norm(0.0), "clip_norm: norm is 0, expected a finite number above 0",
                       ConfigurationError);
  CHECK_THROWS_AS((void)clip_norm(-1.0), ConfigurationError);
  CHECK_THROWS_AS((void)clip_norm(std::nan("")), ConfigurationError);
  CHECK_THROWS_AS((void)clip_norm(std::numeric_limits<double>::infinity()), ConfigurationError);
}
