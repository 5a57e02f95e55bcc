#include "incontext/task/prompt_grammar.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace incontext;

namespace {

const PromptGrammar grammar{{}};
constexpr Index first_trait = 0;
constexpr Index second_trait = 1;

// Every kind of prompt that has a set.
std::vector<PromptPool> pools(PromptSet set) {
  return {grammar.neutral(set),
          grammar.unrelated(set),
          grammar.random(set),
          grammar.trigger(set),
          grammar.negated(set, first_trait),
          grammar.combined(set, first_trait, second_trait),
          grammar.close(set, second_trait),
          grammar.tight(set, second_trait),
          grammar.diverse(set, second_trait)};
}

}  // namespace

TEST_CASE("every token has one meaning") {
  std::set<int> tokens = {PromptGrammar::padding, PromptGrammar::negation};
  const PromptGrammar::Settings& settings = grammar.settings();
  Index count = 2;
  const auto take = [&](int token) {
    CHECK(tokens.insert(token).second);
    ++count;
  };
  for (Index number = 0; number < settings.frames; ++number) {
    take(grammar.frame(number));
  }
  for (const PromptSet set : prompt_sets) {
    for (Index number = 0; number < settings.fillers; ++number) {
      take(grammar.filler(set, number));
    }
    for (Index number = 0; number < settings.unrelated; ++number) {
      take(grammar.unrelated_topic(set, number));
    }
  }
  for (Index trait = 0; trait < settings.traits; ++trait) {
    for (Index synonym = 0; synonym < static_cast<Index>(settings.strengths.size()); ++synonym) {
      take(grammar.topic(trait, synonym));
    }
  }
  CHECK(count == grammar.vocabulary());
  CHECK(*tokens.rbegin() == grammar.vocabulary() - 1);
}

TEST_CASE("paraphrase pools hold 8,192 distinct prompts and more, each within the next wider one") {
  for (const PromptSet set : prompt_sets) {
    const PromptPool close = grammar.close(set, second_trait);
    const PromptPool tight = grammar.tight(set, second_trait);
    const PromptPool diverse = grammar.diverse(set, second_trait);
    CHECK(close.size() == 91 * 91);
    CHECK(tight.size() == 6 * 91 * 91);
    CHECK(diverse.size() == 4 * 12 * 91 * 91);
    for (const PromptPool* pool : {&close, &tight, &diverse}) {
      const auto prompts = pool->draw(8192, Key(1));
      CHECK(prompts.size() == 8192);
      CHECK(std::set<std::vector<int>>(prompts.begin(), prompts.end()).size() == 8192);
    }
    for (const std::vector<int>& prompt : close.draw(50, Key(2))) {
      CHECK(tight.contains(prompt));
    }
    for (const std::vector<int>& prompt : tight.draw(50, Key(3))) {
      CHECK(diverse.contains(prompt));
    }
  }
}

TEST_CASE("the three sets have no prompt in common") {
  for (const PromptSet set : prompt_sets) {
    for (const PromptSet other : prompt_sets) {
      if (set == other) {
        continue;
      }
      for (const PromptPool& pool : pools(set)) {
        // A combined prompt has one filler and a trigger one topic: enough to tell sets apart.
        for (const std::vector<int>& prompt : pool.draw(8, Key(4))) {
          for (const PromptPool& its_pool : pools(other)) {
            CHECK_FALSE(its_pool.contains(prompt));
          }
        }
      }
    }
  }
}

TEST_CASE("a pool numbers its prompts without repeating one, and draws the first of a larger choice") {
  const PromptPool pool({{{1, 2}, {3}, {4, 5, 6}, {7, 8}}});
  std::set<std::vector<int>> prompts;
  for (Index number = 0; number < pool.size(); ++number) {
    prompts.insert(pool.at(number));
    CHECK(pool.contains(pool.at(number)));
  }
  CHECK(static_cast<Index>(prompts.size()) == 12);
  const auto many = pool.draw(12, Key(5));
  const auto few = pool.draw(4, Key(5));
  CHECK(std::vector(many.begin(), many.begin() + 4) == few);
  CHECK(pool.draw(12, Key(6)) != many);
  CHECK_FALSE(pool.contains({1, 3, 4}));
  CHECK_FALSE(pool.contains({1, 3, 4, 9}));
}

TEST_CASE("prompts ask for what their topics say, but after NOT") {
  const auto strengths = [](const PromptPool& pool) {
    const std::vector<int> prompt = pool.draw(1, Key(7)).front();
    return std::pair{grammar.strength(prompt, first_trait), grammar.strength(prompt, second_trait)};
  };
  const PromptSet set = PromptSet::intervention;
  CHECK(strengths(grammar.none()) == std::pair{0.0, 0.0});
  CHECK(strengths(grammar.neutral(set)) == std::pair{0.0, 0.0});
  CHECK(strengths(grammar.unrelated(set)) == std::pair{0.0, 0.0});
  CHECK(strengths(grammar.trigger(set)) == std::pair{0.0, 0.0});
  CHECK(strengths(grammar.negated(set, first_trait)) == std::pair{0.0, 0.0});
  CHECK(strengths(grammar.combined(set, first_trait, second_trait)) == std::pair{1.0, 1.0});
  CHECK(strengths(grammar.close(set, second_trait)) == std::pair{0.0, 1.0});
  CHECK(strengths(grammar.tight(set, first_trait)) == std::pair{1.0, 0.0});
  for (Index synonym = 0; synonym < 12; ++synonym) {
    const double expected = grammar.settings().strengths[static_cast<std::size_t>(synonym)];
    CHECK(strengths(grammar.synonym(set, first_trait, synonym)) == std::pair{expected, 0.0});
  }
}

TEST_CASE("nonsense is refused with what was expected") {
  CHECK_THROWS_WITH_AS(PromptGrammar({.frames = 0}), doctest::Contains("frames is 0, expected at least 1"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptGrammar({.strengths = {0.5, 1.5}}), doctest::Contains("a strength is 1.5"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptGrammar({.strengths = {}}), doctest::Contains("number of strengths is 0"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(grammar.topic(2, 0)), doctest::Contains("trait 2 of 2"), ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(grammar.topic(0, 12)), doctest::Contains("synonym 12 of 12"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptPool({{{1}, {}, {2}, {3}}}), doctest::Contains("slot 1 has no tokens"),
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(PromptPool({{{1}, {2, 2}, {2}, {3}}}), doctest::Contains("a token twice"), ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(grammar.none().draw(2, Key(0))), doctest::Contains("2 distinct prompts of 1"),
                       ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(grammar.strength({1, 2}, 0)), ShapeError);
}
