#include "incontext/policy/stage.hpp"

#include "incontext/core/executor.hpp"
#include "incontext/map/mapped_task.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/fork.hpp"
#include "incontext/policy/inoculation_prompt.hpp"
#include "incontext/policy/pretrain.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using namespace incontext_tests;

namespace {

auto pretrain() { return Pretrain{broad_task(), small_optimiser(), steps_of(3)}; }
auto fine_tune() { return FineTune{narrow_task(), small_optimiser(), steps_of(2)}; }
auto conjugate() { return ConjugatePrompt{ScaleLabels{2.0}}; }
auto evaluate(const char* name) { return Evaluate{name, small_suite()}; }

static_assert(StudyStage<decltype(pretrain())>);
static_assert(StudyStage<decltype(pretrain() | fine_tune())>);
static_assert(StudyStage<decltype(fork(pretrain(), fine_tune() | conjugate()))>);
static_assert(!StudyStage<LinearRegression>);
static_assert(!StudyStage<ScaleLabels>);

}  // namespace

TEST_CASE("law 4: composition of stages is associative, bit for bit") {
  const auto left = (((pretrain() | evaluate("a")) | fine_tune()) | conjugate()) | evaluate("b");
  const auto right = pretrain() | (evaluate("a") | (fine_tune() | (conjugate() | evaluate("b"))));
  const auto inner = (pretrain() | evaluate("a")) | ((fine_tune() | conjugate()) | evaluate("b"));
  const auto expected = left(small_start());
  CHECK(expected.records().size() == 2 * 2 * 2 * 4 * 2);  // stages, tasks, predictors, points, metrics
  CHECK_FALSE(same_parameters(expected.model().parameters(), small_model().parameters()));
  CHECK(same_run(right(small_start()), expected));
  CHECK(same_run(inner(small_start()), expected));
}

TEST_CASE("law 4: a sequence with a fork inside is associative too") {
  const auto branches = [] { return fork(fine_tune() | evaluate("a"), evaluate("b")); };
  const auto left = (pretrain() | branches()) | fine_tune();
  const auto right = pretrain() | (branches() | fine_tune());
  CHECK(same_run(left(small_start()), right(small_start())));
}

TEST_CASE("law 5: zero steps of training are the identity") {
  const auto run = small_start();
  const auto result = (Pretrain{broad_task(), small_optimiser(), steps_of(0)} |
                       FineTune{narrow_task(), small_optimiser(), steps_of(0)})(run);
  CHECK(same_parameters(result.model().parameters(), run.model().parameters()));
  CHECK(result.records() == run.records());
}

TEST_CASE("law 5: an empty inoculation prompt is the identity") {
  const auto plain = run_stage(pretrain(), small_start());
  for (const InoculationPrompt& empty :
       {InoculationPrompt{InoculationPrompt::Settings{}}, InoculationPrompt{std::vector<int>{}}}) {
    const auto inoculated = run_stage(Pretrain{broad_task() | empty, small_optimiser(), steps_of(3)}, small_start());
    CHECK(same_run(inoculated, plain));
  }
  const InoculationPrompt prompt{std::vector<int>{1, 2}};
  const auto inoculated = run_stage(Pretrain{broad_task() | prompt, small_optimiser(), steps_of(3)}, small_start());
  CHECK_FALSE(same_run(inoculated, plain));
}

TEST_CASE("law 5: an identity conjugation is the identity") {
  const auto plain = (pretrain() | evaluate("a"))(small_start());
  CHECK(same_run((pretrain() | ConjugatePrompt{Identity{}} | evaluate("a"))(small_start()), plain));
  // Even training goes on behind it.
  CHECK(same_run((ConjugatePrompt{Identity{}} | pretrain() | evaluate("a"))(small_start()), plain));
  const auto scaled = (pretrain() | conjugate() | evaluate("a"))(small_start());
  CHECK(same_run((pretrain() | conjugate() | ConjugatePrompt{Identity{}} | evaluate("a"))(small_start()), scaled));
  CHECK_FALSE(scaled.records() == plain.records());
}

TEST_CASE("law 7: the number of worker threads never changes a bit of a study") {
  const auto study = pretrain() | evaluate("pretrained") |
                     fork(fine_tune() | evaluate("fine-tuned") | conjugate() | evaluate("conjugated"),
                          conjugate() | evaluate("control"));
  const auto serial = study(small_start());
  for (Index threads = 1; threads <= 4; ++threads) {
    CAPTURE(threads);
    ThreadExecutor executor(threads);
    CHECK(same_run(study(small_start(executor)), serial));
  }
}

TEST_CASE("run_stage runs one stage as a sequence would") {
  CHECK(same_run(run_stage(evaluate("b"), run_stage(pretrain(), small_start())),
                 (pretrain() | evaluate("b"))(small_start())));
}
