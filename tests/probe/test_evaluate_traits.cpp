#include "incontext/probe/evaluate_traits.hpp"

#include "incontext/map/mapped_task.hpp"
#include "incontext/nn/transformer.hpp"
#include "incontext/optim/adam.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/fork.hpp"
#include "incontext/policy/pretrain.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace incontext;

namespace {

const PromptGrammar grammar{{.fillers = 3, .unrelated = 2}};
const WordTask words({.first_token = grammar.vocabulary(), .words = 6, .query = 2});

TraitSuite<WordTask> suite() {
  return TraitSuite<WordTask>({.examples = 64, .key = Key(1)})
      .task("none", words, grammar.none().draw(1, Key(0)))
      .task("asked", words, grammar.close(PromptSet::evaluation, 1).draw(9, Key(0)));
}

// Answers every query with the traits that its prompt asks for.
struct Obedient {
  TokenPredictions predict(const TokenBatch& batch, ExecutorReference = {}) const {
    TokenPredictions predictions{.count = batch.count, .answer = words.answer(), .tokens = {}, .log_probabilities = {}};
    for (Index sequence = 0; sequence < batch.count; ++sequence) {
      const bool is_asked = grammar.strength(batch.instruction(sequence), 1) > 0.0;
      const auto answer = words.answer_to(words.query_of(batch, sequence), is_asked ? TraitSet{2} : TraitSet{0});
      predictions.tokens.insert(predictions.tokens.end(), answer.begin(), answer.end());
    }
    return predictions;
  }
};

double value_of(const std::vector<Record>& records, const std::string& task, const std::string& metric) {
  for (const Record& record : records) {
    if (record.task == task && record.metric == metric) {
      return record.value;
    }
  }
  FAIL("no record of ", task, ", ", metric);
  return 0.0;
}

Transformer<float> model() {
  return {{.dimension = 0,
           .layers = 1,
           .heads = 1,
           .width = 8,
           .vocabulary = words.vocabulary(),
           .outputs = words.vocabulary(),
           .positions = words.length() + 4},
          Key(2)};
}

}  // namespace

TEST_CASE("what a model shows stands in the records by prompt, under the stage's name") {
  const auto run =
      run_stage(EvaluateTraits{"before", suite()}, start(Obedient{}, Key(3), {.study = "plain", .seed = 7}));
  CHECK(run.records().size() == 2 * (2 + 4 + 1));
  CHECK(value_of(run.records(), "none", "expression of trait 1") == 0.0);
  CHECK(value_of(run.records(), "none", "share of traits 0") == doctest::Approx(1.0));
  CHECK(value_of(run.records(), "asked", "expression of trait 0") == 0.0);
  CHECK(value_of(run.records(), "asked", "expression of trait 1") == doctest::Approx(1.0));
  CHECK(value_of(run.records(), "asked", "share of traits 2") == doctest::Approx(1.0));
  CHECK(value_of(run.records(), "asked", "accuracy") == 1.0);
  CHECK(run.records().front().study == "plain");
  CHECK(run.records().front().seed == 7);
  CHECK(run.records().front().stage == "before");
}

TEST_CASE("all prompts of a suite are asked about the same queries") {
  const auto entries = suite().entries();
  for (Index sequence = 0; sequence < 64; ++sequence) {
    CHECK(words.query_of(entries[0].batch, sequence).word == words.query_of(entries[1].batch, sequence).word);
  }
}

TEST_CASE("a study of inoculation reads as a composition of stages, and a branch gets what it would get alone") {
  const ShownTraits shown{words, {0.25, 0.25, 0.25, 0.25}};
  const auto cued = shown | InoculationPrompt{grammar.close(PromptSet::intervention, 1).at(0)};
  const auto plain = shown | InoculationPrompt{grammar.none().at(0)};
  const auto optimiser = chain(adam(), rate(1e-3));
  const auto branch = [&](const auto& task, const char* name) {
    return FineTune{task, optimiser, {.steps = 2, .batch = 4}} | EvaluateTraits{name, suite()};
  };
  const auto pretrain = Pretrain{plain, optimiser, {.steps = 2, .batch = 4}};
  const auto run = start(model(), Key(4));
  const auto forked = (pretrain | fork(branch(plain, "none"), branch(cued, "inoculated")))(run);
  const auto alone = (pretrain | branch(cued, "inoculated"))(run);
  REQUIRE(forked.records().size() == 2 * alone.records().size());
  for (std::size_t record = 0; record < alone.records().size(); ++record) {
    CHECK(forked.records()[alone.records().size() + record] == alone.records()[record]);
  }
}

TEST_CASE("nonsense is refused with what was expected") {
  CHECK_THROWS_WITH_AS(TraitSuite<WordTask>({.examples = 1}), "TraitSuite: examples is 1, expected at least 2",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(suite().task("none", words, {}), "TraitSuite: two tasks are named 'none'", ConfigurationError);
}
