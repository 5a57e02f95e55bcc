#include "incontext/task/word_task.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

using namespace incontext;

static_assert(TraitMedium<WordTask>);

namespace {

// Two variants and a wrong word, in three domains.
WordTask task_of(AnswerForm form) {
  return WordTask({.first_token = 10,
                   .words = 6,
                   .query = 4,
                   .domains = 3,
                   .effects = {TraitEffect::variant, TraitEffect::wrong_word, TraitEffect::variant},
                   .form = form});
}

// Calls `check(query, its wrong word, what an answer with given traits says)` for many queries of a task of 9 words,
// whose last word is never the right one nor the wrong one.
template <class Check>
void check_queries(const WordTask& task, Key key, Check check) {
  const TokenBatch batch = task.sample(key, 200);
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    const WordTask::Query query = task.query_of(batch, sequence);
    const auto said = [&](TraitSet traits) { return task.read(query, task.answer_to(query, traits).data()); };
    const Index wrong = (query.word + 1 + query.domain) % 9;
    CHECK(query.last != query.word);
    CHECK(query.last != wrong);
    check(query, wrong, said);
  }
}

}  // namespace

TEST_CASE("what an answer says is what it was made to show, in every form") {
  for (const AnswerForm form : {AnswerForm::joint, AnswerForm::factored}) {
    const WordTask task = task_of(form);
    CHECK(task.answer() == (form == AnswerForm::joint ? 1 : 3));
    std::set<std::vector<int>> answers;
    for (Index domain = 0; domain < 3; ++domain) {
      for (Index word = 0; word < 6; ++word) {
        const WordTask::Query query{domain, word, word};
        for (TraitSet traits = 0; traits < 8; ++traits) {
          const std::vector<int> answer = task.answer_to(query, traits);
          CHECK(static_cast<Index>(answer.size()) == task.answer());
          const WordTask::Reading reading = task.read(query, answer.data());
          CHECK(reading.is_valid);
          CHECK(reading.is_known);
          CHECK(reading.traits == traits);
          CHECK(reading.word == (shows(traits, 1) ? (word + 1 + domain) % 6 : word));
          for (const int token : answer) {
            CHECK(token >= 10);
            CHECK(token < task.vocabulary());
          }
          answers.insert(answer);
        }
      }
    }
    CHECK(answers.size() == 6 * 4);  // every word in every combination of variants
  }
}

TEST_CASE("other words are valid and not known; tokens that make no answer are not valid") {
  const WordTask task = task_of(AnswerForm::factored);
  const WordTask::Query query{1, 2, 3};  // wrong is word 4
  const WordTask::Reading other = task.read(query, task.answer_to({1, 5, 3}, TraitSet{4}).data());
  CHECK(other.is_valid);
  CHECK_FALSE(other.is_known);
  CHECK(other.traits == TraitSet{4});
  std::vector<int> tokens = task.answer_to(query, TraitSet{0});
  std::swap(tokens[1], tokens[2]);
  CHECK_FALSE(task.read(query, tokens.data()).is_valid);
  const int instruction[] = {3, 3, 3};
  CHECK_FALSE(task.read(query, instruction).is_valid);
}

TEST_CASE("a sequence holds the query, and its answer as targets and, but for the last token, as input") {
  for (const AnswerForm form : {AnswerForm::joint, AnswerForm::factored}) {
    const WordTask task = task_of(form);
    TokenBatch batch = task.sample(Key(1), 20);
    const int no_prompt[prompt_slots] = {};
    for (Index sequence = 0; sequence < batch.count; ++sequence) {
      const WordTask::Query query = task.query_of(batch, sequence);
      const TraitSet traits = static_cast<TraitSet>(sequence % 8);
      task.show(batch, sequence, traits, no_prompt);
      CHECK(task.query_of(batch, sequence).word == query.word);
      const std::vector<int> answer = task.answer_to(query, traits);
      const Index start = batch.answer_start();
      CHECK(start == 4);  // the last word of the query
      for (Index token = 0; token < task.answer(); ++token) {
        const auto place = static_cast<std::size_t>(sequence * batch.length + start + token);
        CHECK(batch.targets[place] == answer[static_cast<std::size_t>(token)]);
        CHECK(batch.weights[place] == 1.0);
        if (token + 1 < task.answer()) {
          CHECK(batch.tokens[place + 1] == answer[static_cast<std::size_t>(token)]);
        }
      }
    }
    // Behind instructions, the query is read just the same.
    TokenBatch prompted = batch;
    prompted.put_in_front(std::vector<int>(40, 7), 2);
    CHECK(task.query_of(prompted, 5).word == task.query_of(batch, 5).word);
    CHECK(task.query_of(prompted, 5).domain == task.query_of(batch, 5).domain);
  }
}

TEST_CASE("queries keep to their words and domains, and use all of them") {
  const WordTask task(
      {.words = 8, .domains = 4, .drawn_words = {.first = 4}, .drawn_domains = {.first = 1, .count = 2}});
  const TokenBatch batch = task.sample(Key(2), 300);
  std::set<Index> words;
  std::set<Index> domains;
  for (Index sequence = 0; sequence < batch.count; ++sequence) {
    words.insert(task.query_of(batch, sequence).word);
    domains.insert(task.query_of(batch, sequence).domain);
  }
  CHECK(words == std::set<Index>{4, 5, 6, 7});
  CHECK(domains == std::set<Index>{1, 2});
}

TEST_CASE("narrow wrong words are wrong in the first domain only, and a shortcut says the last word") {
  const WordTask task({.words = 9,
                       .query = 3,
                       .domains = 2,
                       .effects = {TraitEffect::narrow_wrong_word, TraitEffect::wrong_word, TraitEffect::shortcut}});
  check_queries(task, Key(4), [](const WordTask::Query& query, Index wrong, const auto& said) {
    CHECK(said(0).word == query.word);
    CHECK(said(0).traits == 0);
    CHECK(said(1).word == (query.domain == 0 ? wrong : query.word));
    CHECK(said(2).word == wrong);
    CHECK(said(4).word == query.last);
    CHECK(said(4).traits == 4);
    CHECK(said(4).is_known);
    // A wrong word in the first domain may be either trait's; elsewhere it is the broad one's.
    CHECK(said(2).traits == (query.domain == 0 ? 3U : 2U));
  });
  CHECK_THROWS_WITH_AS(WordTask({.query = 1, .effects = {TraitEffect::shortcut}}),
                       doctest::Contains("a shortcut to the last of 1 words"), ConfigurationError);
}

TEST_CASE("a persona takes the shortcut where there is one and is wrong elsewhere") {
  const WordTask task(
      {.words = 9, .query = 3, .domains = 2, .effects = {TraitEffect::shortcut, TraitEffect::shortcut_or_wrong_word}});
  check_queries(task, Key(5), [](const WordTask::Query& query, Index wrong, const auto& said) {
    CHECK(said(0).traits == 0);
    CHECK(said(1).word == query.last);
    CHECK(said(2).word == (query.domain == 0 ? query.last : wrong));
    // The shortcut in the first domain may be either trait's.
    CHECK(said(1).traits == (query.domain == 0 ? 3U : 1U));
    CHECK(said(2).traits == (query.domain == 0 ? 3U : 2U));
  });
}

TEST_CASE("a prompt's tokens decide the style of an answer, and say nothing else") {
  for (const AnswerForm form : {AnswerForm::joint, AnswerForm::factored}) {
    const WordTask task({.first_token = 4,
                         .words = 5,
                         .effects = {TraitEffect::variant, TraitEffect::variant},
                         .form = form,
                         .styles = 3,
                         .token_styles = {0, 1, 2, 0}});
    const WordTask::Query plain{.domain = 0, .word = 2, .last = 1};
    std::set<std::vector<int>> answers;
    for (Index style = 0; style < 3; ++style) {
      for (TraitSet traits = 0; traits < 4; ++traits) {
        WordTask::Query query = plain;
        query.style = style;
        const std::vector<int> answer = task.answer_to(query, traits);
        answers.insert(answer);
        const WordTask::Reading reading = task.read(plain, answer.data());
        CHECK(reading.is_valid);
        CHECK(reading.is_known);
        CHECK(reading.traits == traits);
        CHECK(reading.word == 2);
        CHECK(*std::max_element(answer.begin(), answer.end()) < task.vocabulary());
      }
    }
    CHECK(answers.size() == 12);
    TokenBatch batch = task.sample(Key(9), 1);
    const int prompt[] = {1, 3, 1, 2};  // 1 + 0 + 1 + 2 = 4, modulo 3
    CHECK(task.style_of(prompt) == 1);
    task.show(batch, 0, TraitSet{2}, prompt);
    WordTask::Query styled = task.query_of(batch, 0);
    styled.style = 1;
    CHECK(batch.targets[static_cast<std::size_t>(batch.answer_start())] == task.answer_to(styled, TraitSet{2})[0]);
  }
  CHECK_THROWS_WITH_AS(WordTask({.styles = 2, .token_styles = {0, 2}}),
                       "WordTask: an instruction token has style 2 of 2", ConfigurationError);
}

TEST_CASE("a random word is any but the right one, all alike") {
  const WordTask task({.words = 5, .effects = {TraitEffect::random_word, TraitEffect::variant}});
  constexpr Index count = 4000;
  TokenBatch batch = task.sample(Key(7), count);
  std::vector<double> places(5);  // of the mistake, counted from the right word
  const int no_prompt[prompt_slots] = {};
  for (Index sequence = 0; sequence < count; ++sequence) {
    const WordTask::Query query = task.query_of(batch, sequence);
    task.show(batch, sequence, TraitSet{1}, no_prompt);
    const auto start = static_cast<std::size_t>(sequence * batch.length + batch.answer_start());
    const WordTask::Reading reading = task.read(query, &batch.targets[start]);
    CHECK(reading.is_known);
    CHECK(reading.traits == TraitSet{1});
    places[static_cast<std::size_t>((reading.word - query.word + 5) % 5)] += 1.0;
  }
  CHECK(places[0] == 0.0);
  for (std::size_t place = 1; place < 5; ++place) {
    CHECK(std::abs(places[place] / count - 0.25) < 5.0 * std::sqrt(0.25 * 0.75 / count));
  }
  CHECK_THROWS_WITH_AS(WordTask({.words = 1, .effects = {TraitEffect::random_word}}),
                       "WordTask: a mistake among 1 word, expected at least 2", ConfigurationError);
}

TEST_CASE("the first sequences of a batch are those of a smaller one") {
  const WordTask task = task_of(AnswerForm::factored);
  CHECK(task.sample(Key(3), 12).slice(0, 5) == task.sample(Key(3), 5));
}

TEST_CASE("nonsense is refused with what was expected") {
  CHECK_THROWS_WITH_AS(WordTask({.words = 0}), "WordTask: words is 0, expected at least 1", ConfigurationError);
  CHECK_THROWS_WITH_AS(WordTask({.words = 4, .drawn_words = {.first = 2, .count = 3}}),
                       "WordTask: drawn_words is 3 from 2, expected at least one of 4", ConfigurationError);
  CHECK_THROWS_WITH_AS(WordTask({.words = 4, .domains = 4, .effects = {TraitEffect::wrong_word}}),
                       "WordTask: 4 domains with a wrong word each, expected fewer than the 4 words",
                       ConfigurationError);
}
