#include "incontext/task/word_pairs.hpp"

#include "incontext/task/task.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

using namespace incontext;

static_assert(TaskOf<WordPairs, TokenBatch>);

namespace {

const std::vector<int> dictionary = random_dictionary(9, Key(1));

WordPairs task_of(AnswerSource source, double conflict) {
  return WordPairs({.dictionary = dictionary, .exemplars = 4, .source = source, .conflict = conflict});
}

/// The exemplar whose word is the query, or -1.
Index exemplar_of_query(const TokenBatch& batch, Index sequence) {
  const int* tokens = batch.tokens.data() + sequence * batch.length;
  for (Index place = 0; place + 1 < batch.length; place += 2) {
    if (tokens[place] == tokens[batch.length - 1]) {
      return place / 2;
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("a random dictionary is a permutation that its key decides") {
  CHECK(std::set<int>(dictionary.begin(), dictionary.end()).size() == 9);
  CHECK(dictionary == random_dictionary(9, Key(1)));
  CHECK(dictionary != random_dictionary(9, Key(2)));
  CHECK(random_dictionary(0, Key(1)).empty());
}

TEST_CASE("the same key gives the same sequences, and a prefix of a batch is a smaller batch") {
  for (const WordPairs& task : {task_of(AnswerSource::exemplars, 1.0), task_of(AnswerSource::dictionary, 0.3)}) {
    const TokenBatch batch = task.sample(Key(3), 50);
    CHECK(batch == task.sample(Key(3), 50));
    CHECK(batch.slice(0, 20) == task.sample(Key(3), 20));
    CHECK(batch.tokens != task.sample(Key(4), 50).tokens);
    CHECK(task.sample(Key(3), 0).count == 0);
  }
}

TEST_CASE("exemplars are different words, none with the dictionary's answer; one word is predicted") {
  const WordPairs task = task_of(AnswerSource::dictionary, 0.5);
  const TokenBatch batch = task.sample(Key(5), 300);
  CHECK(batch.length == 9);
  CHECK(batch.length == task.length());
  CHECK(batch.answer_start() == 8);
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    const int* tokens = batch.tokens.data() + sequence * batch.length;
    std::set<int> words;
    for (Index exemplar = 0; exemplar < 4; ++exemplar) {
      words.insert(tokens[2 * exemplar]);
      CHECK(tokens[2 * exemplar + 1] != task.answer_by_dictionary(tokens[2 * exemplar]));
    }
    CHECK(words.size() == 4);
    for (Index place = 0; place < batch.length; ++place) {
      CHECK(tokens[place] >= 0);
      CHECK(tokens[place] < task.vocabulary());
      CHECK(batch.weight(sequence * batch.length + place) == (place == 8 ? 1.0 : 0.0));
    }
  }
}

TEST_CASE("the answer is that of the source, and the two sources never agree") {
  const TokenBatch shown = task_of(AnswerSource::exemplars, 1.0).sample(Key(6), 300);
  const TokenBatch known = task_of(AnswerSource::dictionary, 1.0).sample(Key(6), 300);
  CHECK(shown.tokens == known.tokens);  // the same prompts: nothing in them tells which answer is right
  for (Index sequence = 0; sequence < shown.count; ++sequence) {
    const auto last = static_cast<std::size_t>(sequence * shown.length + 8);
    const Index exemplar = exemplar_of_query(shown, sequence);
    REQUIRE(exemplar >= 0);
    CHECK(shown.targets[last] == shown.tokens[static_cast<std::size_t>(sequence * shown.length + 2 * exemplar + 1)]);
    CHECK(known.targets[last] == dictionary[static_cast<std::size_t>(known.tokens[last])]);
    CHECK(shown.targets[last] != known.targets[last]);
  }
}

TEST_CASE("every word is asked for, every exemplar is, and as often as the conflict says") {
  constexpr Index count = 4000;
  const TokenBatch batch = task_of(AnswerSource::dictionary, 0.3).sample(Key(7), count);
  std::vector<double> by_word(9, 0.0);
  std::vector<double> by_exemplar(4, 0.0);
  double conflicts = 0.0;
  for (Index sequence = 0; sequence < count; ++sequence) {
    by_word[static_cast<std::size_t>(batch.tokens[static_cast<std::size_t>(sequence * 9 + 8)])] += 1.0 / count;
    const Index exemplar = exemplar_of_query(batch, sequence);
    if (exemplar >= 0) {
      conflicts += 1.0 / count;
      by_exemplar[static_cast<std::size_t>(exemplar)] += 1.0 / count;
    }
  }
  // Five standard errors of a share p of 4000: 5 sqrt(p (1 - p) / 4000).
  const auto near = [](double share, double expected) {
    return std::abs(share - expected) < 5.0 * std::sqrt(expected * (1.0 - expected) / count);
  };
  CHECK(near(conflicts, 0.3));
  for (const double share : by_word) {
    CHECK(near(share, 1.0 / 9.0));
  }
  for (const double share : by_exemplar) {
    CHECK(near(share, 0.3 / 4.0));
  }
}

TEST_CASE("nonsense is refused") {
  using Settings = WordPairs::Settings;
  CHECK_THROWS_WITH_AS(WordPairs(Settings{.dictionary = {0, 2, 2}}),
                       "WordPairs: the dictionary is no permutation of its 3 words", ConfigurationError);
  CHECK_THROWS_WITH_AS(WordPairs(Settings{.dictionary = {0}}), "WordPairs: words is 1, expected at least 2",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(WordPairs(Settings{.dictionary = {1, 0}, .exemplars = 0}),
                       "WordPairs: exemplars is 0, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(WordPairs(Settings{.dictionary = {1, 0}, .exemplars = 3}),
                       "WordPairs: 2 words, expected at least 3 for 3 exemplars", ConfigurationError);
  CHECK_THROWS_WITH_AS(
      WordPairs(Settings{.dictionary = {1, 0}, .exemplars = 2, .source = AnswerSource::dictionary, .conflict = 0.5}),
      "WordPairs: 2 words, expected at least 3 for 2 exemplars and another query", ConfigurationError);
  CHECK_THROWS_WITH_AS(
      WordPairs(Settings{.dictionary = {1, 0}, .exemplars = 1, .source = AnswerSource::dictionary, .conflict = 1.5}),
      "WordPairs: conflict is 1.5, expected a probability from 0 to 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(WordPairs(Settings{.dictionary = {1, 0}, .exemplars = 1, .conflict = 0.5}),
                       "WordPairs: conflict is 0.5, expected 1: exemplars without the query cannot answer it",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(task_of(AnswerSource::exemplars, 1.0).answer_by_dictionary(9)),
                       "WordPairs: word 9 of a dictionary of 9", ConfigurationError);
}
