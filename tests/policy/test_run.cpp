#include "incontext/policy/run.hpp"

#include "incontext/map/scale_labels.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <type_traits>

using namespace incontext;
using namespace incontext_tests;

static_assert(StudyRun<Run<SmallModel>>);
static_assert(StudyRun<Run<SmallModel, ScaleLabels>>);
static_assert(!StudyRun<SmallModel>);

TEST_CASE("a run starts with its settings, the identity as view, and no records") {
  const auto run = start(small_model(), Key{9}, {.study = "words", .seed = 4});
  static_assert(std::is_same_v<decltype(run), const Run<SmallModel, Identity>>);
  CHECK(run.settings().study == "words");
  CHECK(run.settings().seed == 4);
  CHECK(run.records().empty());
  CHECK(run.stage() == 0);
  CHECK(run.place() == "0");
  CHECK(same_parameters(run.model().parameters(), small_model().parameters()));
}

TEST_CASE("every training stage has a key of its own, that depends on the run's key and on the stage's number") {
  auto run = small_start();
  auto other = start(small_model(), Key{3});
  CHECK(run.stage_key() == small_start().stage_key());
  CHECK_FALSE(run.stage_key() == other.stage_key());
  const Key first = run.stage_key();
  run.next_stage();
  CHECK_FALSE(run.stage_key() == first);
  CHECK(run.stage() == 1);
  CHECK(run.place() == "1");
}

TEST_CASE("branches have places of their own, and the keys of the trunk") {
  auto run = small_start();
  run.next_stage();
  auto first = run.branch();
  auto second = run.branch();
  auto inner = first.branch();
  CHECK(first.place() == "1.0-1");
  CHECK(second.place() == "1.1-1");
  CHECK(inner.place() == "1.0-1.0-1");
  CHECK(run.place() == "1");
  CHECK(first.stage_key() == run.stage_key());
  CHECK(inner.stage_key() == run.stage_key());
  second.next_stage();
  CHECK(second.place() == "1.1-2");
  run.next_stage();
  CHECK(run.branch().place() == "2.0-2");
}

TEST_CASE("another view leaves everything else of a run") {
  auto run = small_start();
  run.next_stage();
  auto branch = run.branch();
  static_cast<void>(branch.branch());
  branch.records().push_back({.task = "one"});
  auto same = branch;
  auto viewed = std::move(branch).with_view(ScaleLabels{3.0});
  static_assert(std::is_same_v<decltype(viewed), Run<SmallModel, ScaleLabels>>);
  CHECK(viewed.view().gamma() == 3.0);
  CHECK(same_run(viewed, same));
  CHECK(viewed.stage() == same.stage());
  CHECK(viewed.place() == same.place());
  CHECK(viewed.branch().place() == same.branch().place());
  CHECK(viewed.settings().study == same.settings().study);
  CHECK(viewed.settings().seed == same.settings().seed);
}
