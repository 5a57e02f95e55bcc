// A token model from end to end: trained, free-running, translated.
#include "incontext/core/executor.hpp"
#include "incontext/map/translate.hpp"
#include "incontext/nn/transformer.hpp"
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/pretrain.hpp"
#include "task/copy_task.hpp"

#include "incontext/optim/adam.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace incontext;
using incontext_tests::CopyTask;

namespace {

const CopyTask task;

TransformerSettings model_settings() {
  return {.dimension = 0,
          .layers = 2,
          .heads = 2,
          .width = 16,
          .vocabulary = 10,
          .outputs = 10,
          .positions = 5,
          .initial_scale = 0.2};
}

Run<Transformer<float>> trained(Index steps) {
  const Pretrain pretrain{task, chain(adam(), rate(1e-2)), {.steps = steps, .batch = 32}};
  return run_stage(pretrain, start(Transformer<float>{model_settings(), Key(1)}, Key(2)));
}

// One that has learned the task; trained once.
const Transformer<float>& learned() {
  static const Run<Transformer<float>> run = trained(250);
  return run.model();
}

double share_right(const TokenPredictions& predictions, const TokenBatch& batch) {
  double right = 0.0;
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    const auto answer = predictions.tokens.begin() + sequence * predictions.answer;
    right += answer[0] == batch.tokens[static_cast<std::size_t>(3 * sequence)] &&
                     answer[1] == batch.tokens[static_cast<std::size_t>(3 * sequence + 1)]
                 ? 1.0
                 : 0.0;
  }
  return right / static_cast<double>(batch.count);
}

}  // namespace

TEST_CASE("a model learns a task over a vocabulary and answers free-running") {
  const TokenBatch batch = task.sample(Key(3), 400);
  // Untrained, both tokens are right by chance in one of 100 answers; trained, nearly always. Between them lie many
  // standard errors of 400 answers, which are at most 0.025.
  CHECK(share_right(trained(0).model().predict(batch), batch) < 0.15);
  CHECK(share_right(learned().predict(batch), batch) > 0.85);
}

TEST_CASE("the first token is drawn with the probabilities that are reported") {
  const Run<Transformer<float>> run = trained(30);
  constexpr Index count = 4000;
  TokenBatch batch = TokenBatch::zeros(count, 3);  // one and the same sequence, again and again
  for (Index sequence = 0; sequence < count; ++sequence) {
    batch.weights[static_cast<std::size_t>(3 * sequence + 1)] = 1.0;
    batch.tokens[static_cast<std::size_t>(3 * sequence + 1)] = 1;
  }
  batch.key = Key(4);
  const TokenPredictions predictions = run.model().predict(batch);
  CHECK(predictions.answer == 2);
  std::vector<double> frequency(10, 0.0);
  double total = 0.0;
  for (Index sequence = 0; sequence < count; ++sequence) {
    frequency[static_cast<std::size_t>(predictions.tokens[static_cast<std::size_t>(2 * sequence)])] += 1.0 / count;
  }
  for (Index token = 0; token < 10; ++token) {
    const double probability = std::exp(predictions.log_probabilities(0, token));
    total += probability;
    const double standard_error = std::sqrt(probability * (1.0 - probability) / count);
    CHECK(std::abs(frequency[static_cast<std::size_t>(token)] - probability) < 5.0 * standard_error + 1e-6);
  }
  CHECK(total == doctest::Approx(1.0));
}

TEST_CASE("every answer is read before the next token is drawn, and the given one is not looked at") {
  const TokenBatch batch = task.sample(Key(5), 50);
  TokenBatch blind = batch;
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    blind.tokens[static_cast<std::size_t>(3 * sequence + 2)] = 9;  // where teacher forcing would show the first answer
    blind.targets[static_cast<std::size_t>(3 * sequence + 1)] = 9;
  }
  CHECK(learned().predict(batch) == learned().predict(blind));
}

TEST_CASE("law 7: threads change no bit of the answers") {
  const Run<Transformer<float>> run = trained(20);
  const TokenBatch batch = task.sample(Key(6), 100);
  const TokenPredictions alone = run.model().predict(batch);
  ThreadExecutor executor(3);
  CHECK(run.model().predict(batch, executor) == alone);
  CHECK(run.model().predict(batch.slice(0, 40)).tokens ==
        std::vector<int>(alone.tokens.begin(), alone.tokens.begin() + 80));
}

TEST_CASE("conjugate prompting of a token model: translate, predict, translate back") {
  // Words 5 to 9 are those of a language that the model has not seen; each is a word that it knows, by translation.
  const Translate translate = Translate::swapping(10, {{0, 5}, {1, 6}, {2, 7}, {3, 8}, {4, 9}});
  const TokenBatch foreign = translate.apply(task.sample(Key(7), 400));
  CHECK(share_right(learned().predict(foreign), foreign) < 0.15);
  const Conjugated conjugated{learned(), translate};
  CHECK(share_right(conjugated.predict(foreign), foreign) > 0.85);
}

TEST_CASE("a batch that does not fit the model is refused") {
  const Transformer<float> model{model_settings(), Key(8)};
  TokenBatch batch = task.sample(Key(9), 3);
  batch.tokens.pop_back();
  CHECK_THROWS_WITH_AS(static_cast<void>(model.predict(batch)), "3 sequences of length 3 hold 8 tokens, expected 9",
                       ShapeError);
  const Transformer<float> regression{{.dimension = 2, .points = 3, .layers = 1, .heads = 1, .width = 8}, Key(0)};
  CHECK_THROWS_AS(static_cast<void>(regression.predict(task.sample(Key(9), 3))), ShapeError);
}
