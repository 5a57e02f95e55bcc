#include "incontext/optim/chain.hpp"

#include "incontext/optim/adam.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/momentum.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/optim/weight_decay.hpp"
#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using incontext::adam;
using incontext::chain;
using incontext::clip_norm;
using incontext::Index;
using incontext::Key;
using incontext::momentum;
using incontext::ParameterBuffer;
using incontext::rate;
using incontext::weight_decay;
using incontext_tests::example_buffer;
using incontext_tests::updated;
using incontext_tests::visited;

TEST_CASE("a chain applies its parts from left to right") {
  const auto gradient = example_buffer<double>(Key{1}, 10.0);
  const auto parameters = example_buffer<double>(Key{2});
  const auto clipped_first = updated(chain(clip_norm(1.0), rate(0.5)), gradient, parameters);
  CHECK(clipped_first == updated(rate(0.5), updated(clip_norm(1.0), gradient, parameters), parameters));
  CHECK(incontext::global_norm(clipped_first) == doctest::Approx(0.5));
  CHECK(incontext::global_norm(updated(chain(rate(0.5), clip_norm(1.0)), gradient, parameters)) ==
        doctest::Approx(1.0));
}

TEST_CASE("decay behind Adam is decoupled, in front of it an L2 penalty") {
  const auto gradient = example_buffer<double>(Key{1});
  const auto parameters = example_buffer<double>(Key{2});
  const auto penalised = updated(chain(weight_decay(0.5), adam()), gradient, parameters);
  CHECK(penalised == updated(adam(), gradient + 0.5 * parameters, parameters));
  CHECK(updated(chain(adam(), weight_decay(0.5)), gradient, parameters) ==
        updated(adam(), gradient, parameters) + 0.5 * parameters);
}

TEST_CASE("every part keeps its own state from step to step, and sees the step and the parameters") {
  const auto whole = chain(clip_norm(2.0), momentum(0.9), adam(), weight_decay(0.1), rate(incontext::cosine(0.1, 7)));
  auto state = whole.init<float>(incontext_tests::example_layout());
  auto momentum_state = momentum(0.9).init<float>(incontext_tests::example_layout());
  auto adam_state = adam().init<float>(incontext_tests::example_layout());
  ParameterBuffer<float> parameters = example_buffer<float>(Key{3});
  for (Index step = 0; step < 6; ++step) {
    ParameterBuffer<float> updates = example_buffer<float>(Key{4}.fold(step));
    ParameterBuffer<float> by_hand = updated(clip_norm(2.0), updates, parameters, step);
    momentum(0.9).update(by_hand, parameters, step, momentum_state);
    adam().update(by_hand, parameters, step, adam_state);
    by_hand = updated(weight_decay(0.1), by_hand, parameters, step);
    by_hand = updated(rate(incontext::cosine(0.1, 7)), by_hand, parameters, step);
    whole.update(updates, parameters, step, state);
    CHECK(updates == by_hand);
    parameters += updates;
  }
}

TEST_CASE("buffers are named by their place in the chain, chains within chains too") {
  CHECK(visited(chain(clip_norm(1.0), adam(), rate(0.1))) ==
        std::vector<std::string>{"1.adam.first_moment", "1.adam.second_moment"});
  CHECK(visited(chain(momentum(0.5), momentum(0.9))) ==
        std::vector<std::string>{"0.momentum.velocity", "1.momentum.velocity"});
  CHECK(visited(chain(clip_norm(1.0), chain(adam(), momentum(0.9)))) ==
        std::vector<std::string>{"1.0.adam.first_moment", "1.0.adam.second_moment", "1.1.momentum.velocity"});
}

TEST_CASE("a chain describes its parts in order") {
  CHECK(chain(clip_norm(1.0), momentum(0.9), rate(0.001)).describe() ==
        "chain(clip_norm(1), momentum(0.9), rate(constant(0.001)))");
  CHECK(chain(adam()).describe() == "chain(adam(0.9, 0.999, 1e-08))");
  CHECK(chain().describe() == "chain()");
}

TEST_CASE("a chain of nothing changes nothing") {
  const auto gradient = example_buffer<double>(Key{1});
  CHECK(updated(chain(), gradient, gradient) == gradient);
}
