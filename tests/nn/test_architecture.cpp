#include "incontext/nn/architecture.hpp"

#include "incontext/task/linear_regression.hpp"
#include "nn/model_gradient.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

using incontext::ConcatenatedTokens;
using incontext::ContextMask;
using incontext::FeedForward;
using incontext::FullMask;
using incontext::Gelu;
using incontext::Gpt2;
using incontext::InterleavedTokens;
using incontext::Key;
using incontext::LearnedPositions;
using incontext::LinearKernel;
using incontext::LinearRegression;
using incontext::LinearSelfAttention;
using incontext::NoPositions;
using incontext::SoftmaxKernel;
using incontext::SquaredError;
using incontext::Transformer;
using incontext_tests::gradient_tolerance;
using incontext_tests::regression_gradients;
using incontext_tests::shake;
using incontext_tests::worst_error;

namespace {

// Architectures that a user would write: one of the named ones with a few policies replaced.
struct SoftmaxRegression : Gpt2 {
  using Encoding = ConcatenatedTokens;
  using Position = NoPositions;
  using Attention = incontext::Attention<SoftmaxKernel, FullMask>;
};
struct QueryOutside : LinearSelfAttention {
  using Attention = incontext::Attention<LinearKernel, ContextMask>;
};
struct LinearWithFeedForward : LinearSelfAttention {
  using Position = LearnedPositions;
  using FeedForward = incontext::FeedForward<Gelu>;
};

template <class Architecture>
double gradient_error() {
  Transformer<double, Architecture> model(
      {.dimension = 2, .points = 3, .layers = 2, .heads = 2, .width = 4, .hidden = 3}, Key{1});
  shake(model, Key{2});
  const LinearRegression task{{.dimension = 2, .points = 3, .noise = 0.1}};
  return worst_error(regression_gradients(model, task.sample(Key{3}, 3), SquaredError{}));
}

}  // namespace

TEST_CASE("the named architectures are what their papers say") {
  CHECK(std::string(Gpt2::name) == "gpt2");
  CHECK(std::string(LinearSelfAttention::name) == "linear_self_attention");
  static_assert(std::is_same_v<Gpt2::Encoding, InterleavedTokens> && Gpt2::Attention::mask_type::is_causal);
  static_assert(Gpt2::FeedForward::is_present && Gpt2::Position::is_present);
  static_assert(std::is_same_v<LinearSelfAttention::Encoding, ConcatenatedTokens>);
  static_assert(!LinearSelfAttention::FeedForward::is_present && !LinearSelfAttention::Position::is_present);
}

TEST_CASE("law 9: the gradients of architectures made of other policies agree with the complex-step derivative") {
  CHECK(gradient_error<SoftmaxRegression>() < gradient_tolerance);
  CHECK(gradient_error<QueryOutside>() < gradient_tolerance);
  CHECK(gradient_error<LinearWithFeedForward>() < gradient_tolerance);
}
