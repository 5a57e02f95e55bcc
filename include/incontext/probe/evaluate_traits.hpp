#pragma once
/// \file
/// Evaluation of traits: how often a model shows each, over a grid of prompts.

#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/policy/inoculation_prompt.hpp"
#include "incontext/policy/observer.hpp"
#include "incontext/policy/run.hpp"
#include "incontext/policy/stage.hpp"
#include "incontext/probe/trait_expression.hpp"
#include "incontext/task/traits.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What traits are measured on: examples that are drawn once and are the same for every stage and every prompt, so that
/// differences between prompts are not differences between examples.
template <TraitMedium Medium>
class TraitSuite {
 public:
  struct Settings {
    Index examples = 1024;  ///< for every task
    Key key = Key{};        ///< that the examples are drawn from
  };
  struct Entry {
    std::string name;
    Medium medium;
    BatchOf<Medium> batch;  ///< its examples with their prompts
  };

  /// \throws ConfigurationError if examples < 2
  explicit TraitSuite(Settings settings) : settings_(settings) {
    require_at_least("TraitSuite", "examples", settings.examples, 2);
  }

  /// Adds examples of a medium behind one of the prompts each, chosen at random, under a name that the records carry.
  /// \throws ConfigurationError if there is one of that name
  TraitSuite& task(std::string name, const Medium& medium, std::vector<std::vector<int>> prompts) {
    const bool is_new =
        std::none_of(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
    require(is_new, "TraitSuite: two tasks are named '", name, "'");
    const InoculationPrompt prompt({.paraphrases = std::move(prompts), .stream = "evaluation"});
    entries_.push_back({std::move(name), medium, prompt.apply(medium.sample(settings_.key, settings_.examples))});
    return *this;
  }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  Settings settings_;
  std::vector<Entry> entries_;
};

/// Records what the run's predictor shows on every task of the suite: "expression of trait 0" and of the others,
/// "share of traits 3" for every set of traits by its number, and the "accuracy" of the task whatever traits show.
template <TraitMedium Medium>
class EvaluateTraits : public Stage {
 public:
  /// `stage` is what the records call this moment: "pretrained", "inoculated".
  EvaluateTraits(std::string stage, TraitSuite<Medium> suite) : stage_(std::move(stage)), suite_(std::move(suite)) {}

  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&... observers) const {
    std::vector<Record> added;
    for (const typename TraitSuite<Medium>::Entry& entry : suite_.entries()) {
      const auto predictions = run.view().invert_predictions(
          run.model().predict(run.view().apply(entry.batch), run.executor()), entry.batch);
      const TraitExpression expression = trait_expression(entry.medium, entry.batch, predictions);
      const auto add = [&](std::string metric, double value) {
        added.push_back({run.settings().study, run.settings().seed, stage_, entry.name, 0, "transformer",
                         std::move(metric), value});
      };
      for (std::size_t trait = 0; trait < expression.traits.size(); ++trait) {
        add(text("expression of trait ", trait), expression.traits[trait]);
      }
      for (std::size_t set = 0; set < expression.sets.size(); ++set) {
        add(text("share of traits ", set), expression.sets[set]);
      }
      add("accuracy", expression.accuracy);
    }
    run.records().insert(run.records().end(), added.begin(), added.end());
    (detail::show(added, observers), ...);
    return run;
  }

 private:
  std::string stage_;
  TraitSuite<Medium> suite_;
};

INCONTEXT_NAMESPACE_END
