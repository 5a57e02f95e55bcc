#include "incontext/map/translate.hpp"

#include "incontext/map/compose.hpp"
#include "incontext/map/identity.hpp"
#include "incontext/map/mapped_task.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "task/copy_task.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace incontext;
using incontext_tests::CopyTask;

static_assert(InvertibleMapOn<Translate, TokenBatch>);
static_assert(!MapOn<Translate, Prompts>);
static_assert(InvertibleMapOn<Compose<Translate, PrefixTokens>, TokenBatch>);

namespace {

const std::vector<int> turned = {3, 0, 4, 1, 2};

TokenPredictions example_predictions() {
  TokenPredictions predictions{.count = 2, .answer = 2, .tokens = {0, 1, 4, 3}, .log_probabilities = {}};
  predictions.log_probabilities.resize(2, 5);
  predictions.log_probabilities << -0.0, -0.1, -0.2, -0.3, -0.4, -1.0, -1.1, -1.2, -1.3, -1.4;
  return predictions;
}

}  // namespace

TEST_CASE("Translate: every token becomes its image, instructions and targets too") {
  TokenBatch batch = CopyTask{}.sample(Key(1), 4);
  batch.put_in_front({0, 1, 2, 3}, 1);
  const TokenBatch translated = Translate{turned}.apply(batch);
  for (std::size_t position = 0; position < batch.tokens.size(); ++position) {
    CHECK(translated.tokens[position] == turned[static_cast<std::size_t>(batch.tokens[position])]);
    CHECK(translated.targets[position] == turned[static_cast<std::size_t>(batch.targets[position])]);
  }
  CHECK(translated.weights == batch.weights);
  CHECK(translated.prefix == 1);
}

TEST_CASE("law 1: invert . apply is the identity, for Translate and its compositions") {
  for (const Index count : {0, 1, 7}) {
    const TokenBatch batch = CopyTask{}.sample(Key(2), count);
    CHECK(Translate{turned}.invert(Translate{turned}.apply(batch)) == batch);
    const auto both = PrefixTokens{{2, 4}} | Translate{turned};
    CHECK(both.invert(both.apply(batch)) == batch);
  }
}

TEST_CASE("Translate: what is said of a translation is what would be said of the original") {
  const TokenBatch batch = CopyTask{}.sample(Key(3), 2);
  const TokenPredictions predictions = example_predictions();
  const TokenPredictions back = Translate{turned}.invert_predictions(predictions, batch);
  CHECK(back.tokens == std::vector<int>{1, 3, 2, 0});
  for (Index sequence = 0; sequence < 2; ++sequence) {
    for (Index token = 0; token < 5; ++token) {
      CHECK(back.log_probabilities(sequence, token) ==
            predictions.log_probabilities(sequence, turned[static_cast<std::size_t>(token)]));
    }
  }
}

TEST_CASE("law 5: the translation that changes nothing is an identity") {
  const Translate nothing{{0, 1, 2, 3, 4}};
  const TokenBatch batch = CopyTask{}.sample(Key(4), 3);
  CHECK(nothing.apply(batch) == batch);
  CHECK((CopyTask{} | nothing).sample(Key(4), 3) == batch);
  CHECK(nothing.invert_predictions(example_predictions(), batch) == example_predictions());
  CHECK(Identity{}.invert_predictions(example_predictions(), batch) == example_predictions());
}

TEST_CASE("Translate: swapped pairs leave the rest, and a second swap undoes the first") {
  const Translate swap = Translate::swapping(5, {{0, 3}, {4, 1}});
  CHECK(swap.image() == std::vector<int>{3, 4, 2, 0, 1});
  const TokenBatch batch = CopyTask{}.sample(Key(5), 3);
  CHECK(swap.apply(swap.apply(batch)) == batch);
}

TEST_CASE("Translate: what is no bijection, or another vocabulary, is refused") {
  CHECK_THROWS_WITH_AS(Translate({0, 1, 1}), "Translate: tokens 1 and 2 both become 1, expected a bijection",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(Translate({0, 3, 1}), "Translate: token 1 becomes 3, expected 0 to 2", ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(Translate::swapping(3, {{0, 3}})), "Translate: token 3 of a vocabulary of 3",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(Translate::swapping(3, {{0, 1}, {1, 2}})),
                       "Translate: token 1 is in two pairs", ConfigurationError);
  TokenBatch batch = CopyTask{9}.sample(Key(6), 40);
  CHECK_THROWS_AS(static_cast<void>(Translate{turned}.apply(batch)), ShapeError);
  CHECK_THROWS_AS(static_cast<void>(Translate({1, 0}).invert_predictions(example_predictions(), batch)), ShapeError);
}
