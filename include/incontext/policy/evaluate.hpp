#pragma once
/// \file
/// Evaluation: a model, and the closed forms beside it, on prompts of several tasks.

#include "incontext/core/error.hpp"
#include "incontext/core/executor.hpp"
#include "incontext/core/function_reference.hpp"
#include "incontext/core/key.hpp"
#include "incontext/policy/observer.hpp"
#include "incontext/policy/run.hpp"
#include "incontext/policy/stage.hpp"
#include "incontext/predictor/predictor.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The predictions of any predictor, its prompts shared out between the executor's threads in groups of fixed size.
template <Predictor Kind>
[[nodiscard]] Predictions predict_in_shards(const Kind& predictor, const Prompts& prompts, ExecutorReference executor) {
  if constexpr (requires { predictor.predict(prompts, executor); }) {
    return predictor.predict(prompts, executor);
  } else {
    constexpr Index group = 64;
    Predictions predictions(prompts.count, prompts.points);
    executor.run((prompts.count + group - 1) / group, [&](Index shard) {
      const Index first = shard * group;
      const Index number = (std::min)(group, prompts.count - first);
      const Predictions part = predictor.predict(prompts.slice(first, number));
      require<ShapeError>(part.rows() == number && part.cols() == prompts.points, "a predictor answered [", part.rows(),
                          ", ", part.cols(), "] to ", number, " prompts of ", prompts.points, " points");
      std::copy_n(part.data(), part.size(), predictions.data() + first * predictions.cols());
    });
    return predictions;
  }
}

/// The mean over prompts of the squared error, by the number of exemplars, [points].
/// \throws ShapeError if the shapes differ
[[nodiscard]] inline Vector squared_error(const Predictions& predictions, const RowMatrix<double>& truth) {
  require<ShapeError>(predictions.rows() == truth.rows() && predictions.cols() == truth.cols(), "predictions of [",
                      predictions.rows(), ", ", predictions.cols(), "] against labels of [", truth.rows(), ", ",
                      truth.cols(), "]");
  const RowMatrix<double> errors = predictions - truth;
  Vector squares = column_sums(errors, errors);
  for (double& square : squares) {
    square /= static_cast<double>(truth.rows());
  }
  return squares;
}

/// What is measured: tasks, each with prompts that are drawn once and are the same for every stage, and reference
/// predictors.
class Suite {
 public:
  struct Settings {
    Index prompts = 2048;  ///< for every task
    Key key = Key{};       ///< that the prompts are drawn from
  };

  /// \throws ConfigurationError if prompts < 1
  explicit Suite(Settings settings) : settings_(settings) {
    require(settings.prompts >= 1, "Suite: prompts is ", settings.prompts, ", expected at least 1");
  }

  /// Adds a task under a name that the records carry. \throws ConfigurationError if a task has it already
  template <Task Kind>
  Suite& task(std::string name, const Kind& kind) {
    require(!has(tasks_, name), "Suite: two tasks are named '", name, "'");
    Prompts prompts = kind.sample(settings_.key.fold(name), settings_.prompts);
    tasks_.push_back({std::move(name), std::move(prompts)});
    return *this;
  }
  /// Adds a reference predictor under a name that the records carry. \throws ConfigurationError if a predictor has it
  /// already, or it is "transformer", which is what the records call the model
  template <Predictor Kind>
  Suite& reference(std::string name, Kind predictor) {
    require(name != "transformer" && !has(references_, name), "Suite: two predictors are named '", name, "'");
    references_.push_back(
        {std::move(name), [predictor = std::move(predictor)](const Prompts& prompts, ExecutorReference executor) {
           return predict_in_shards(predictor, prompts, executor);
         }});
    return *this;
  }

  struct NamedPrompts {
    std::string name;
    Prompts prompts;
  };
  struct NamedPredictor {
    std::string name;
    std::function<Predictions(const Prompts&, ExecutorReference)> predict;
  };
  [[nodiscard]] const std::vector<NamedPrompts>& tasks() const { return tasks_; }
  [[nodiscard]] const std::vector<NamedPredictor>& references() const { return references_; }
  /// The prompts of one task. \throws ConfigurationError if there is none of that name
  [[nodiscard]] const Prompts& prompts(const std::string& name) const {
    const auto found =
        std::find_if(tasks_.begin(), tasks_.end(), [&](const NamedPrompts& task) { return task.name == name; });
    require(found != tasks_.end(), "Suite: no task is named '", name, "'");
    return found->prompts;
  }

 private:
  template <class Named>
  static bool has(const std::vector<Named>& list, const std::string& name) {
    return std::any_of(list.begin(), list.end(), [&](const Named& entry) { return entry.name == name; });
  }

  Settings settings_;
  std::vector<NamedPrompts> tasks_;
  std::vector<NamedPredictor> references_;
};

/// Records the squared error of the run's predictor and of every reference, on every task, at every number of
/// exemplars: against the noiseless target and against the noisy label. The references look through the run's view
/// too, so that a conjugated stage has its conjugated controls.
class Evaluate : public Stage {
 public:
  /// `stage` is what the records call this moment: "pretrained", "fine-tuned".
  Evaluate(std::string stage, Suite suite)
      : stage_(std::move(stage)), suite_(std::make_shared<const Suite>(std::move(suite))) {}

  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&... observers) const {
    const std::vector<Record> added = measure(
        run.settings(), [&](const Prompts& prompts) { return run.view().apply(prompts); },
        [&](const Prompts& prompts) { return run.model().predict(prompts, run.executor()); },
        [&](Predictions predictions, const Prompts& prompts) {
          return run.view().invert_predictions(std::move(predictions), prompts);
        });
    append_records(run.records(), added);
    (detail::show(added, observers), ...);
    return run;
  }

 private:
  // The records of one run: its view on prompts, its model, and the view back.
  [[nodiscard]] std::vector<Record> measure(const RunSettings& run, FunctionReference<Prompts(const Prompts&)> view,
                                            FunctionReference<Predictions(const Prompts&)> model,
                                            FunctionReference<Predictions(Predictions, const Prompts&)> back) const {
    std::vector<Record> records;
    for (const Suite::NamedPrompts& task : suite_->tasks()) {
      const Prompts mapped = view(task.prompts);
      const auto record = [&](const std::string& predictor, Predictions answers) {
        const Predictions predictions = back(std::move(answers), task.prompts);
        const auto add = [&](const char* metric, const Vector& values) {
          for (Index exemplars = 0; exemplars < values.size(); ++exemplars) {
            records.push_back(
                {run.study, run.seed, stage_, task.name, exemplars, predictor, metric, values[exemplars]});
          }
        };
        add("squared_error_target", squared_error(predictions, task.prompts.targets));
        add("squared_error_label", squared_error(predictions, task.prompts.labels));
      };
      record("transformer", model(mapped));
      for (const Suite::NamedPredictor& reference : suite_->references()) {
        record(reference.name, reference.predict(mapped, run.executor));
      }
    }
    return records;
  }

  std::string stage_;
  std::shared_ptr<const Suite> suite_;  // copies of a study share it
};

/// Shows the run to a function, in the middle of a study: `Inspect{[&](const auto& run) { ... }}`.
template <class Function>
class Inspect : public Stage {
 public:
  explicit Inspect(Function function) : function_(std::move(function)) {}
  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&...) const {
    function_(std::as_const(run));
    return run;
  }

 private:
  Function function_;
};

INCONTEXT_NAMESPACE_END
