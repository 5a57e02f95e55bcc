#include "incontext/nn/batch_gradient.hpp"

#include "core/allocation_counter.hpp"
#include "incontext/optim/adam.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/optim/weight_decay.hpp"
#include "incontext/policy/train.hpp"
#include "incontext/task/linear_regression.hpp"
#include "nn/model_gradient.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

using incontext::AlignedVector;
using incontext::BatchGradient;
using incontext::ConfigurationError;
using incontext::CrossEntropy;
using incontext::Gpt2;
using incontext::Index;
using incontext::Key;
using incontext::LinearRegression;
using incontext::LinearSelfAttention;
using incontext::ParameterBuffer;
using incontext::ParameterEntry;
using incontext::Prompts;
using incontext::SerialExecutor;
using incontext::ShapeError;
using incontext::SquaredError;
using incontext::ThreadExecutor;
using incontext::TokenBatch;
using incontext::Trainer;
using incontext::Transformer;
using incontext_tests::shake;

namespace {

template <class Scalar, class Architecture>
Transformer<Scalar, Architecture> example_model(Index points = 9) {
  Transformer<Scalar, Architecture> model(
      {.dimension = 3, .points = points, .layers = 2, .heads = 2, .width = 10, .hidden = 12}, Key{1});
  shake(model, Key{2}, 0.2);
  return model;
}

Prompts example_prompts(Index count, Index points = 9) {
  return LinearRegression{{.dimension = 3, .points = points, .noise = 0.3}}.sample(Key{3}, count);
}

template <class Scalar>
bool same_bits(const AlignedVector<Scalar>& left, const AlignedVector<Scalar>& right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size() * sizeof(Scalar)) == 0;
}

double relative_difference(const ParameterBuffer<double>& left, const ParameterBuffer<double>& right) {
  return incontext::global_norm(left - right) / incontext::global_norm(right);
}

}  // namespace

TEST_CASE_TEMPLATE("law 7: the number of worker threads never changes a bit of loss and gradient", Architecture, Gpt2,
                   LinearSelfAttention) {
  const auto model = example_model<float, Architecture>();
  for (const Index count : {1, 3, 7, 8, 13, 64}) {
    const Prompts prompts = example_prompts(count);
    BatchGradient serial(model);
    SerialExecutor serial_executor;
    const double loss = serial(model, prompts, SquaredError{}, serial_executor);
    CHECK(std::isfinite(loss));
    CHECK(incontext::global_norm(serial.gradient()) > 0.0);
    for (const Index threads : {1, 2, 3, 5}) {
      CAPTURE(count);
      CAPTURE(threads);
      ThreadExecutor executor(threads);
      BatchGradient threaded(model);
      // Twice: what is left of the first batch must not show in the second.
      for (int repetition = 0; repetition < 2; ++repetition) {
        CHECK(threaded(model, prompts, SquaredError{}, executor) == loss);
        CHECK(same_bits(threaded.gradient().values(), serial.gradient().values()));
      }
    }
  }
}

TEST_CASE("the gradient of a batch is the mean of its prompts' gradients, however it is cut") {
  // 40 points are 79 tokens, so the 7 or 8 prompts of a shard are more than one micro-batch.
  const Index points = 40;
  const auto model = example_model<double, Gpt2>(points);
  for (const Index count : {5, 61}) {
    const Prompts prompts = example_prompts(count, points);
    BatchGradient whole(model);
    const double loss = whole(model, prompts, SquaredError{}, {});
    BatchGradient single(model);
    ParameterBuffer<double> mean(model.parameters().shared_layout());
    double mean_loss = 0.0;
    for (Index prompt = 0; prompt < count; ++prompt) {
      mean_loss += single(model, prompts.slice(prompt, 1), SquaredError{}, {}) / static_cast<double>(count);
      mean += (1.0 / static_cast<double>(count)) * single.gradient();
    }
    // Sums of the same numbers in another order: a thousand roundings at the very most.
    CHECK(loss == doctest::Approx(mean_loss).epsilon(1e-13));
    CHECK(relative_difference(whole.gradient(), mean) <= 1e-13);
  }
}

TEST_CASE("the loss is that of the predictions") {
  const auto model = example_model<double, Gpt2>();
  const Prompts prompts = example_prompts(13);
  BatchGradient gradient(model);
  CHECK(gradient(model, prompts, SquaredError{}, {}) ==
        doctest::Approx((model.predict(prompts) - prompts.labels).squaredNorm() / (13.0 * 9.0)).epsilon(1e-13));
  const auto linear = example_model<double, LinearSelfAttention>();
  BatchGradient last_point(linear);
  CHECK(last_point(linear, prompts, SquaredError{}, {}) ==
        doctest::Approx((linear.predict(prompts) - prompts.labels).col(8).squaredNorm() / 13.0).epsilon(1e-13));
}

TEST_CASE("what lies between the tensors of a gradient stays zero") {
  const auto model = example_model<float, Gpt2>();
  BatchGradient gradient(model);
  (void)gradient(model, example_prompts(5), SquaredError{}, {});
  ParameterBuffer<float> padding = gradient.gradient();
  for (const ParameterEntry& entry : padding.layout().entries()) {
    std::fill(padding.data() + entry.offset, padding.data() + entry.offset + entry.size, 0.0F);
  }
  CHECK(incontext::global_norm(padding) == 0.0);
}

TEST_CASE("scratch memory does not grow with the batch beyond a micro-batch for each shard") {
  const auto model = example_model<float, Gpt2>(20);
  BatchGradient gradient(model);
  (void)gradient(model, example_prompts(64, 20), SquaredError{}, {});
  const Index bytes = gradient.workspace_bytes();
  (void)gradient(model, example_prompts(256, 20), SquaredError{}, {});
  // Micro-batches of at most 384 rows are cut evenly, so those of a larger batch may be a little larger.
  CHECK(gradient.workspace_bytes() <= 2 * bytes);
}

TEST_CASE("a batch that does not fit the model is refused, on any thread") {
  const auto model = example_model<float, Gpt2>();
  BatchGradient gradient(model);
  ThreadExecutor threads(2);
  CHECK_THROWS_AS((void)gradient(model, Prompts(4, 9, 2), SquaredError{}, threads), ShapeError);
  CHECK_THROWS_AS((void)gradient(model, example_prompts(4, 10), SquaredError{}, threads), ShapeError);
  CHECK_THROWS_AS((void)gradient(model, example_prompts(4), SquaredError{{1.0}}, threads), ConfigurationError);
  const TokenBatch tokens{.count = 1, .length = 2, .tokens = {0, 0}, .targets = {0, 0}, .weights = {}};
  CHECK_THROWS_AS((void)gradient(model, tokens, CrossEntropy{}, threads), ShapeError);
  // And it works on afterwards.
  CHECK(std::isfinite(gradient(model, example_prompts(4), SquaredError{}, threads)));
}

TEST_CASE("law 7: the number of worker threads never changes a bit of a token model's loss and gradient") {
  Transformer<float, Gpt2> model(
      {.dimension = 0, .layers = 1, .heads = 1, .width = 6, .vocabulary = 5, .outputs = 5, .positions = 4}, Key{1});
  shake(model, Key{2});
  TokenBatch batch{.count = 11, .length = 4, .tokens = {}, .targets = {}, .weights = {}};
  incontext::Stream stream(Key{3});
  for (Index token = 0; token < 44; ++token) {
    batch.tokens.push_back(static_cast<int>(stream.integer(5)));
    batch.targets.push_back(static_cast<int>(stream.integer(5)));
  }
  BatchGradient serial(model);
  const double loss = serial(model, batch, CrossEntropy{}, {});
  for (const Index threads : {1, 2, 5}) {
    ThreadExecutor executor(threads);
    BatchGradient threaded(model);
    CHECK(threaded(model, batch, CrossEntropy{}, executor) == loss);
    CHECK(same_bits(threaded.gradient().values(), serial.gradient().values()));
  }
}

TEST_CASE("law 11: a warm training step allocates nothing on the heap") {
  const auto check = [](auto model, auto& executor) {
    const auto optimiser = chain(incontext::clip_norm(1.0), incontext::adam(),
                                 incontext::weight_decay(0.1, {"*.weight"}), incontext::rate(1e-3));
    Trainer trainer(model, optimiser, SquaredError{}, {"read_in.*"});
    // 13 prompts leave shards of different sizes; of 96, a shard has 12 times 39 tokens: more than one micro-batch.
    for (const Index count : {13, 96}) {
      const Prompts batch = example_prompts(count, 20);
      Index number = 0;
      (void)trainer.step(model, batch, number++, executor);
      CHECK(incontext_test::allocations_of([&] {
              for (int repetition = 0; repetition < 2; ++repetition) {
                (void)trainer.step(model, batch, number++, executor);
              }
            }) == 0);
    }
  };
  SerialExecutor serial;
  ThreadExecutor threads(3);
  check(example_model<float, Gpt2>(20), serial);
  check(example_model<float, Gpt2>(20), threads);
  check(example_model<double, LinearSelfAttention>(20), serial);
  check(example_model<float, LinearSelfAttention>(20), threads);
  // The counter does see what allocates.
  CHECK(incontext_test::allocations_of([] { (void)example_prompts(1); }) > 0);
}
