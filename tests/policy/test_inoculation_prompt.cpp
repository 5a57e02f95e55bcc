#include "incontext/policy/inoculation_prompt.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "policy/small_study.hpp"
#include "task/same_bits.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

static_assert(PromptMap<InoculationPrompt>);
static_assert(!InvertibleMap<InoculationPrompt>);

namespace {

const std::vector<std::vector<int>> five = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}};

InoculationPrompt rephrased(std::string stream = "inoculation") {
  return InoculationPrompt{InoculationPrompt::Settings{.paraphrases = five, .stream = std::move(stream)}};
}

std::vector<int> tokens_of(const Prompts& prompts, Index prompt) {
  const auto first = prompts.tokens.begin() + prompt * prompts.prefix;
  return {first, first + prompts.prefix};
}

}  // namespace

TEST_CASE("a fixed inoculation puts the same tokens in front of every prompt, and changes nothing else") {
  const auto cued = broad_task() | InoculationPrompt{std::vector<int>{4, 2}};
  static_assert(Task<std::remove_const_t<decltype(cued)>>);
  const Prompts prompts = cued.sample(Key{1}, 5);
  CHECK(same_bits(prompts, (broad_task() | PrefixTokens({4, 2})).sample(Key{1}, 5)));
  CHECK(prompts.prefix == 2);
  CHECK(tokens_of(prompts, 4) == std::vector<int>{4, 2});
}

TEST_CASE("law 5: an empty inoculation prompt is the identity") {
  const Prompts plain = broad_task().sample(Key{1}, 5);
  CHECK(same_bits(InoculationPrompt{InoculationPrompt::Settings{}}.apply(plain), plain));
  CHECK(same_bits(InoculationPrompt{std::vector<int>{}}.apply(plain), plain));
  CHECK(same_bits(InoculationPrompt{InoculationPrompt::Settings{.paraphrases = {{}, {}}}}.apply(plain), plain));
}

TEST_CASE("paraphrases in turn are used equally often, but for one") {
  const InoculationPrompt in_turn{InoculationPrompt::Settings{.paraphrases = five, .in_turn = true}};
  const Prompts prompts = (broad_task() | in_turn).sample(Key{1}, 12);
  for (Index prompt = 0; prompt < prompts.count; ++prompt) {
    CHECK(tokens_of(prompts, prompt) == five[static_cast<std::size_t>(prompt % 5)]);
  }
}

TEST_CASE("paraphrases are chosen uniformly and independently") {
  constexpr Index count = 5000;
  const Prompts prompts = (broad_task() | rephrased()).sample(Key{1}, count);
  std::map<std::vector<int>, double> seen;
  std::vector<int> choices;
  for (Index prompt = 0; prompt < count; ++prompt) {
    const std::vector<int> tokens = tokens_of(prompts, prompt);
    ++seen[tokens];
    choices.push_back(tokens.front());
  }
  CHECK(seen.size() == five.size());
  const auto chi_square = [](const auto& counts, double expected) {
    double sum = 0.0;
    for (const auto& [key, number] : counts) {
      sum += (number - expected) * (number - expected) / expected;
    }
    return sum;
  };
  // Chi-square with 4 degrees of freedom exceeds 23.5 with probability 1e-4.
  CHECK(chi_square(seen, count / 5.0) < 23.5);
  // Neighbours: 25 pairs, 24 degrees of freedom, exceeds 60 with probability below 1e-4.
  std::map<std::pair<int, int>, double> pairs;
  for (std::size_t prompt = 0; prompt + 1 < choices.size(); prompt += 2) {
    ++pairs[{choices[prompt], choices[prompt + 1]}];
  }
  CHECK(pairs.size() == 25);
  CHECK(chi_square(pairs, count / 50.0) < 60.0);
}

TEST_CASE("the choice is pure: it depends on the batch's key and the prompt's number alone") {
  const auto cued = broad_task() | rephrased();
  const Prompts prompts = cued.sample(Key{1}, 50);
  CHECK(same_bits(cued.sample(Key{1}, 50), prompts));
  CHECK(same_bits(cued.sample(Key{1}, 20), prompts.slice(0, 20)));
  CHECK_FALSE(cued.sample(Key{2}, 50).tokens == prompts.tokens);
  // The data is that of the task without a prompt.
  const Prompts plain = broad_task().sample(Key{1}, 50);
  CHECK(same_bits(prompts.inputs, plain.inputs));
  CHECK(same_bits(prompts.labels, plain.labels));
  CHECK(same_bits(prompts.targets, plain.targets));
}

TEST_CASE("prompts can be stacked, the newest in front, with a choice of their own") {
  const auto cued = broad_task() | rephrased() | rephrased("second");
  constexpr Index count = 200;
  const Prompts prompts = cued.sample(Key{1}, count);
  const Prompts once = (broad_task() | rephrased()).sample(Key{1}, count);
  CHECK(prompts.prefix == 4);
  Index equal = 0;
  for (Index prompt = 0; prompt < count; ++prompt) {
    const std::vector<int> tokens = tokens_of(prompts, prompt);
    CHECK(std::vector<int>(tokens.begin() + 2, tokens.end()) == tokens_of(once, prompt));
    equal += tokens[0] == tokens[2] ? 1 : 0;
  }
  // Binomial(200, 1/5): mean 40, standard deviation 5.7.
  CHECK(equal > 40 - 5 * 6);
  CHECK(equal < 40 + 5 * 6);
}

TEST_CASE("a model is trained with the prompt and evaluated without it") {
  const auto cued = broad_task() | rephrased();
  const SmallModel model = small_model();
  CHECK_NOTHROW(static_cast<void>(model.predict(cued.sample(Key{1}, 3))));
  CHECK_NOTHROW(static_cast<void>(model.predict(broad_task().sample(Key{1}, 3))));
}

TEST_CASE("paraphrases of different lengths and negative tokens are refused") {
  using Settings = InoculationPrompt::Settings;
  CHECK_THROWS_WITH_AS(InoculationPrompt(Settings{.paraphrases = {{1, 2}, {3}}}),
                       "InoculationPrompt: a paraphrase of 1 tokens beside one of 2; pad them to one length",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(InoculationPrompt(Settings{.paraphrases = {{1}, {-3}}}),
                       "InoculationPrompt: token -3, expected at least 0", ConfigurationError);
}
