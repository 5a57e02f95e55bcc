#pragma once
/// \file
/// Branches of a study: each goes on from the same run, and gets what it would get alone.

#include "incontext/policy/stage.hpp"

#include <cstddef>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Runs every branch on a copy of the run. What comes out is the run before the fork, with the records of all
/// branches, in order: the branches' models end with them.
template <StudyStage... Branches>
class Fork : public Stage {
 public:
  explicit Fork(Branches... branches) : branches_(std::move(branches)...) {}

  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&... observers) const {
    const std::size_t first = run.records().size();
    std::vector<Record> added;
    const auto follow = [&](const auto& branch) {
      const auto result = branch.apply(run.branch(), observers...);
      append_records(added, std::span(result.records()).subspan(first));
    };
    std::apply([&](const Branches&... branch) { (follow(branch), ...); }, branches_);
    append_records(run.records(), added);
    return run;
  }

 private:
  std::tuple<Branches...> branches_;
};

/// fork(FineTune{...} | Evaluate{...}, FineTune{...} | Evaluate{...}).
template <StudyStage... Branches>
[[nodiscard]] Fork<Branches...> fork(Branches... branches) {
  return Fork<Branches...>(std::move(branches)...);
}

INCONTEXT_NAMESPACE_END
