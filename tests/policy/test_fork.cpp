#include "incontext/policy/fork.hpp"

#include "incontext/map/scale_labels.hpp"
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/pretrain.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

auto train_broad() { return Pretrain{broad_task(), small_optimiser(), steps_of(2)}; }
auto train_narrow() { return FineTune{narrow_task(), small_optimiser(), steps_of(2)}; }
auto evaluate(const char* name) { return Evaluate{name, small_suite()}; }

std::vector<Record> operator+(std::vector<Record> left, const std::vector<Record>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// Keeps the place of every training stage.
struct Places {
  std::vector<std::string> seen;
  template <class Scalar>
  void on_begin(const TrainingState<Scalar>& state) {
    seen.push_back(state.place);
  }
};

}  // namespace

TEST_CASE("law 4: fork gives each branch what it would get alone, bit for bit") {
  const auto first = train_narrow() | evaluate("first");
  const auto second = ConjugatePrompt{ScaleLabels{2.0}} | evaluate("second");
  const auto third = train_broad() | train_narrow() | evaluate("third");
  const auto trunk = train_broad() | evaluate("trunk");
  const auto forked = (trunk | fork(first, second, third))(small_start());

  const auto alone = trunk(small_start());
  const auto records_of = [&](const auto& branch) {
    const auto records = (trunk | branch)(small_start()).records();
    return std::vector<Record>(records.begin() + static_cast<Index>(alone.records().size()), records.end());
  };
  CHECK(forked.records() == alone.records() + records_of(first) + records_of(second) + records_of(third));
  CHECK(same_parameters(forked.model().parameters(), alone.model().parameters()));
}

TEST_CASE("law 4: the trunk goes on as if there were no fork") {
  const auto forked = (train_broad() | fork(train_narrow(), ConjugatePrompt{ScaleLabels{2.0}}) | train_narrow() |
                       evaluate("end"))(small_start());
  CHECK(same_run(forked, (train_broad() | train_narrow() | evaluate("end"))(small_start())));
}

TEST_CASE("law 4: nested forks give each branch what it would get alone") {
  const auto inner = fork(train_narrow() | evaluate("a"), evaluate("b"));
  const auto nested = (train_broad() | fork(train_broad() | inner, inner))(small_start());
  const auto deep = train_broad() | train_broad();
  const auto shallow = train_broad() | evaluate("b");
  const auto expected = (deep | train_narrow() | evaluate("a"))(small_start()).records() +
                        (deep | evaluate("b"))(small_start()).records() +
                        (train_broad() | train_narrow() | evaluate("a"))(small_start()).records() +
                        shallow(small_start()).records();
  CHECK(nested.records() == expected);
}

TEST_CASE("a branch sees the records of the trunk, and none of other branches") {
  std::vector<std::size_t> sizes;
  const auto look = [&] { return Inspect{[&](const auto& run) { sizes.push_back(run.records().size()); }}; };
  const auto run = (evaluate("trunk") | look() | fork(evaluate("a") | look(), look()) | look())(small_start());
  const std::size_t one = run.records().size() / 2;
  CHECK(sizes == std::vector<std::size_t>{one, 2 * one, one, 2 * one});
}

TEST_CASE("no two training stages of a study have the same place") {
  const auto branches = fork(train_narrow() | train_narrow(), fork(train_narrow(), train_broad()), train_broad());
  const auto study = train_broad() | branches | branches | train_broad() | branches;
  Places places;
  static_cast<void>(study(small_start(), places));
  CHECK(places.seen.size() == 1 + 5 + 5 + 1 + 5);
  CHECK(std::set<std::string>(places.seen.begin(), places.seen.end()).size() == places.seen.size());
  // What a checkpoint is called is part of the interface.
  CHECK(std::vector<std::string>(places.seen.begin(), places.seen.begin() + 7) ==
        std::vector<std::string>{"0", "1.0-1", "1.0-2", "1.1-1.0-1", "1.1-1.1-1", "1.2-1", "1.3-1"});
}
