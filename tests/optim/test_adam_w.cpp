#include "incontext/optim/adam_w.hpp"

#include "incontext/optim/rate.hpp"
#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using incontext::adam;
using incontext::adam_w;
using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
using incontext_tests::updated;
using incontext_tests::visited;

TEST_CASE("AdamW is Adam's direction plus decay times the parameters, in which the gradient has no part") {
  const auto gradient = example_buffer<double>(Key{1});
  const auto parameters = example_buffer<double>(Key{2});
  const auto direction = updated(adam(), gradient, parameters);
  const auto update = updated(adam_w({.decay = 0.1}), gradient, parameters);
  for (Index index = 0; index < update.size(); ++index) {
    CHECK(update.data()[index] ==
          doctest::Approx(direction.data()[index] + 0.1 * parameters.data()[index]).epsilon(1e-14));
  }
}

TEST_CASE("without a gradient, AdamW with a rate shrinks the parameters by a factor, step after step") {
  const auto transform = chain(adam_w({.decay = 0.5}), incontext::rate(0.1));
  ParameterBuffer<double> parameters = example_buffer<double>(Key{3});
  const ParameterBuffer<double> start = parameters;
  auto state = transform.init<double>(parameters.shared_layout());
  double factor = 1.0;
  for (Index step = 0; step < 5; ++step) {
    ParameterBuffer<double> updates(parameters.shared_layout());
    transform.update(updates, parameters, step, state);
    parameters += updates;
    factor *= 1.0 - 0.1 * 0.5;
    for (Index index = 0; index < parameters.size(); ++index) {
      CHECK(parameters.data()[index] == doctest::Approx(factor * start.data()[index]).epsilon(1e-14));
    }
  }
}

TEST_CASE("AdamW's defaults are PyTorch's; patterns spare what they do not name") {
  CHECK(adam_w().describe() == "chain(adam(0.9, 0.999, 1e-08), weight_decay(0.01, *))");
  CHECK(visited(adam_w()) == std::vector<std::string>{"0.adam.first_moment", "0.adam.second_moment"});
  const auto gradient = example_buffer<double>(Key{1});
  const auto parameters = example_buffer<double>(Key{2});
  const auto direction = updated(adam(), gradient, parameters);
  const auto update = updated(adam_w({.decay = 0.1, .decayed = {"*.weight"}}), gradient, parameters);
  CHECK(update.view("h.0.c_attn.bias")(0, 3) == direction.view("h.0.c_attn.bias")(0, 3));
  CHECK(update.view("read_out.weight")(0, 2) != direction.view("read_out.weight")(0, 2));
}

TEST_CASE("AdamW refuses what its parts refuse") {
  CHECK_THROWS_AS((void)adam_w({.decay = -0.1}), ConfigurationError);
  CHECK_THROWS_AS((void)adam_w({.adam = {.epsilon = -1.0}}), ConfigurationError);
}
