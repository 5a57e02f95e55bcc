#include "incontext/nn/model_input.hpp"

#include "core/allocation_counter.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using incontext::Index;
using incontext::ModelInput;

TEST_CASE("a model input that was reset is continuous and zero") {
  ModelInput<double> input;
  input.reset({2, 3}, 4);
  CHECK(input.shape.rows() == 6);
  CHECK(input.feature_rows().rows == 6);
  CHECK(input.feature_rows().columns == 4);
  std::fill(input.ids.begin(), input.ids.end(), 5);
  std::fill(input.features.begin(), input.features.end(), 1.0);
  CHECK(input.output_shape().rows() == 6);
  input.read = {1, 4};
  CHECK(input.output_shape().rows() == 2);

  input.reset({1, 5}, 2);
  CHECK(input.output_shape().rows() == 5);
  REQUIRE(input.ids.size() == 5);
  REQUIRE(input.features.size() == 10);
  CHECK(std::count(input.ids.begin(), input.ids.end(), ModelInput<double>::continuous) == 5);
  CHECK(std::count(input.features.begin(), input.features.end(), 0.0) == 10);
  const ModelInput<double>& constant = input;
  CHECK(constant.feature_rows().data == input.features.data());
}

TEST_CASE("resetting to a shape that fits allocates nothing") {
  ModelInput<float> input;
  input.reset({8, 33}, 9);
  CHECK(incontext_test::allocations_of([&] {
          input.reset({8, 33}, 9);
          input.reset({3, 11}, 5);
        }) == 0);
}
