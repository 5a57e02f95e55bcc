#pragma once
/// \file
/// A run: a model on its way through a study, with what was measured so far.

#include "incontext/core/executor.hpp"
#include "incontext/core/key.hpp"
#include "incontext/map/identity.hpp"
#include "incontext/map/map.hpp"
#include "incontext/report/record.hpp"

#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What `start` needs besides a model and a key.
struct RunSettings {
  std::string study = "study";   ///< first column of every record
  std::uint64_t seed = 0;        ///< second column of every record
  ExecutorReference executor{};  ///< where shards run; must outlive the run
};

/// A model, the view through which it is asked (identity, or the map of a conjugation), the key that the next stages
/// draw from, and the records. Runs are values: copying one and going on from both copies is what `fork` does.
template <class Model, InvertibleMap View = Identity>
class Run {
 public:
  using model_type = Model;
  using view_type = View;

  Run(Model model, Key key, RunSettings settings, View view = {})
      : model_(std::move(model)), key_(key), settings_(std::move(settings)), view_(std::move(view)) {}

  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] Model& model() { return model_; }
  [[nodiscard]] const View& view() const { return view_; }
  [[nodiscard]] const RunSettings& settings() const { return settings_; }
  [[nodiscard]] ExecutorReference executor() const { return settings_.executor; }
  [[nodiscard]] const std::vector<Record>& records() const { return records_; }
  [[nodiscard]] std::vector<Record>& records() { return records_; }

  /// The key of the training stage that comes next. It depends on how many came before, not on how the study was
  /// put together: so composition is associative, and a branch of a fork gets what it would get alone.
  [[nodiscard]] Key stage_key() const { return key_.fold("stage").fold(stage_); }
  [[nodiscard]] Index stage() const { return stage_; }
  void next_stage() { ++stage_, branches_ = 0; }

  /// Where in the study this run is, unlike any other place: "0", and "1.0-1" for stage 1 in the first branch that
  /// leaves there. Names checkpoints.
  [[nodiscard]] std::string place() const { return branch_ + std::to_string(stage_); }

  /// A copy that goes on in a branch of its own. Branches that leave at one place are counted, over several forks too.
  [[nodiscard]] Run branch() {
    Run copy = *this;
    copy.branch_ = place() + "." + std::to_string(branches_++) + "-";
    copy.branches_ = 0;
    return copy;
  }

  /// The same run, asked through another view.
  template <InvertibleMap Other>
  [[nodiscard]] Run<Model, Other> with_view(Other view) && {
    Run<Model, Other> run(std::move(model_), key_, std::move(settings_), std::move(view));
    run.stage_ = stage_;
    run.branch_ = std::move(branch_);
    run.branches_ = branches_;
    run.records_ = std::move(records_);
    return run;
  }

 private:
  template <class OtherModel, InvertibleMap OtherView>
  friend class Run;

  Model model_;
  Key key_;
  RunSettings settings_;
  View view_;
  Index stage_ = 0;
  std::string branch_;  // what `place` begins with
  Index branches_ = 0;  // that left here so far
  std::vector<Record> records_;
};

/// What stages work on.
template <class Type>
concept StudyRun = requires {
  typename Type::model_type;
  typename Type::view_type;
  requires std::same_as<Type, Run<typename Type::model_type, typename Type::view_type>>;
};

/// The beginning of a study: `study(start(model, key))`.
template <class Model>
[[nodiscard]] Run<Model> start(Model model, Key key, RunSettings settings = {}) {
  return Run<Model>(std::move(model), key, std::move(settings));
}

INCONTEXT_NAMESPACE_END
