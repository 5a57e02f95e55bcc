#include "incontext/task/token_batch.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "incontext/nn/loss.hpp"
#include "incontext/policy/inoculation_prompt.hpp"
#include "incontext/task/mixture.hpp"
#include "task/copy_task.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace incontext;
using incontext_tests::CopyTask;

static_assert(Task<CopyTask> && std::same_as<BatchOf<CopyTask>, TokenBatch>);
static_assert(TaskOf<MappedTask<CopyTask, InoculationPrompt>, TokenBatch>);
static_assert(TaskOf<Mixture<CopyTask, CopyTask>, TokenBatch>);

namespace {

TokenBatch example() {
  return {.count = 2, .length = 3, .tokens = {0, 1, 2, 2, 1, 0}, .targets = {1, 2, 0, 1, 0, 2}, .weights = {}};
}

}  // namespace

TEST_CASE("no weights are weights of one") {
  TokenBatch batch = example();
  CHECK(CrossEntropy{}.total_weight(batch) == 6.0);
  batch.weights.assign(6, 1.0);
  CHECK(CrossEntropy{}.total_weight(batch) == 6.0);
  batch.weights = {0.0, 0.5, 0.0, 2.0, 0.0, 0.0};
  CHECK(CrossEntropy{}.total_weight(batch) == 2.5);
}

TEST_CASE("a token batch whose parts do not fit each other is refused") {
  const auto refused = [](const TokenBatch& batch) { (void)CrossEntropy{}.total_weight(batch); };
  TokenBatch batch = example();
  batch.tokens.pop_back();
  CHECK_THROWS_WITH_AS(refused(batch),
                       "CrossEntropy: 5 tokens, 6 targets and 0 weights for 2 sequences of length 3, expected 6 of "
                       "each, or no weights",
                       ShapeError);
  batch = example();
  batch.targets.push_back(0);
  CHECK_THROWS_AS(refused(batch), ShapeError);
  batch = example();
  batch.weights.assign(5, 1.0);
  CHECK_THROWS_AS(refused(batch), ShapeError);
  batch.weights.assign(6, 0.0);
  CHECK_THROWS_WITH_AS(refused(batch), "CrossEntropy: the weights of a token batch sum to 0, expected more than 0",
                       ConfigurationError);
  batch.weights = {1.0, 1.0, -0.5, 1.0, 1.0, 1.0};
  CHECK_THROWS_WITH_AS(refused(batch), "CrossEntropy: the weight of a token is -0.5, expected at least 0",
                       ConfigurationError);
}

TEST_CASE("instructions go in front of sequences, nothing is predicted of them, and they can be taken away again") {
  const TokenBatch plain = CopyTask{}.sample(Key(1), 2);
  TokenBatch batch = plain;
  batch.put_in_front({7, 8, 9, 10}, 2);
  CHECK(batch.length == 5);
  CHECK(batch.prefix == 2);
  CHECK(std::vector<int>(batch.instruction(1), batch.instruction(1) + 2) == std::vector<int>{9, 10});
  CHECK(CrossEntropy{}.total_weight(batch) == CrossEntropy{}.total_weight(plain));
  CHECK(batch.answer_start() == plain.answer_start() + 2);
  TokenBatch twice = batch;
  twice.put_in_front({5, 6}, 1);
  CHECK(twice.tokens[0] == 5);
  CHECK(twice.tokens[1] == 7);
  twice.drop_front(1);
  CHECK(twice == batch);
  twice.drop_front(2);
  CHECK(twice == plain);
  CHECK_THROWS_AS(twice.drop_front(1), ShapeError);
  CHECK_THROWS_WITH_AS(twice.put_in_front({1, 2, 3}, 2),
                       "TokenBatch: 3 instruction tokens for 2 sequences, expected 2 each", ShapeError);
}

TEST_CASE("a slice of sequences is the sequences") {
  TokenBatch batch = CopyTask{}.sample(Key(2), 6);
  batch.put_in_front({0, 1, 2, 3, 4, 5}, 1);
  const TokenBatch part = batch.slice(2, 3);
  CHECK(part.count == 3);
  CHECK(part.key == batch.key);
  for (Index sequence = 0; sequence < 3; ++sequence) {
    CHECK(part.slice(sequence, 1) == batch.slice(2 + sequence, 1));
    CHECK(*part.instruction(sequence) == 2 + sequence);
  }
  CHECK_THROWS_AS(static_cast<void>(batch.slice(5, 2)), ShapeError);
}

TEST_CASE("answers start at one place, or it is said which does not") {
  TokenBatch batch = CopyTask{}.sample(Key(3), 3);
  CHECK(batch.answer_start() == 1);
  batch.weights[3] = 1.0;
  CHECK_THROWS_WITH_AS(static_cast<void>(batch.answer_start()),
                       "TokenBatch: the answer of sequence 1 starts at 0, that of sequence 0 at 1; expected one place "
                       "for all",
                       ShapeError);
  batch.weights.assign(9, 0.0);
  CHECK_THROWS_WITH_AS(static_cast<void>(batch.answer_start()),
                       "TokenBatch: no token is predicted; its weights are all zero", ShapeError);
}

TEST_CASE("tasks over a vocabulary are mixed, and prefixed, as prompts of regression are") {
  const CopyTask task;
  const auto marked = task | InoculationPrompt{std::vector<int>{8, 9}};
  const TokenBatch batch = marked.sample(Key(4), 5);
  CHECK(batch == (task | PrefixTokens({8, 9})).sample(Key(4), 5));

  const auto other = task | InoculationPrompt{InoculationPrompt::Settings{.paraphrases = {{5, 6}, {6, 5}}}};
  const auto mixture = mix(marked, 0.5, other);
  const TokenBatch mixed = mixture.sample(Key(5), 200);
  const std::vector<Index> components = mixture.components(Key(5), 200);
  std::set<int> seen;
  for (Index sequence = 0; sequence < 200; ++sequence) {
    const int first = *mixed.instruction(sequence);
    seen.insert(first);
    CHECK((first == 8) == (components[static_cast<std::size_t>(sequence)] == 0));
  }
  CHECK(seen == std::set<int>{5, 6, 8});
  CHECK(mixed.slice(0, 50) == [&] {
    TokenBatch fewer = mixture.sample(Key(5), 50);
    return fewer;
  }());
  CHECK_THROWS_WITH_AS(
      static_cast<void>(mix(task, 0.5, marked).sample(Key(6), 4)),
      "sequences of 3 tokens, 0 of them instructions, cannot be mixed with sequences of 5 tokens, 2 of "
      "them instructions",
      ShapeError);
}
