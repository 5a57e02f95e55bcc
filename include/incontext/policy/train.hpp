#pragma once
/// \file
/// The training loop and the stage around it that Pretrain and FineTune share.

#include "incontext/core/error.hpp"
#include "incontext/core/function_reference.hpp"
#include "incontext/nn/batch_gradient.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/gradient_transform.hpp"
#include "incontext/policy/observer.hpp"
#include "incontext/policy/run.hpp"
#include "incontext/policy/stage.hpp"
#include "incontext/task/curriculum.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Settings of a training stage, for tasks of the medium that `Loss` belongs to.
template <class Loss>
struct TrainSettingsFor {
  Index steps = 10'000;                  ///< optimiser steps
  Index batch = 64;                      ///< examples a step, fresh every step
  Curriculum curriculum = {};            ///< of dimensions and points
  Loss loss = {};                        ///< weights of the points
  std::vector<std::string> freeze = {};  ///< name patterns of parameters that stay as they are
};
/// Those of in-context regression.
using TrainSettings = TrainSettingsFor<SquaredError>;
/// Those that a task takes.
template <class Kind>
using TrainSettingsOf = TrainSettingsFor<LossOf<BatchOf<Kind>>>;

/// A model that can be trained: it has parameters, settings, and a `BatchGradient`.
template <class Model>
concept Trainable = requires(Model& model) {
  model.parameters();
  model.settings();
  BatchGradient(model);
};

namespace detail {

/// Parameters that stay as they are: their gradient and their update are zero.
template <class Scalar>
void hold(const std::vector<ParameterEntry>& entries, ParameterBuffer<Scalar>& buffer) {
  for (const ParameterEntry& entry : entries) {
    std::fill(buffer.data() + entry.offset, buffer.data() + entry.offset + entry.size, Scalar{});
  }
}

inline std::string describe(const TransformerSettings& settings) {
  return text("dimension ", settings.dimension, ", layers ", settings.layers, ", heads ", settings.heads, ", width ",
              settings.width, ", hidden ", settings.hidden, ", vocabulary ", settings.vocabulary, ", positions ",
              settings.positions, ", outputs ", settings.outputs, ", precision ", name_of(settings.precision));
}

inline std::string describe(const Curriculum& curriculum) {
  const auto growth = [](const Growth& size) {
    return size.start == 0 ? "all" : text("from ", size.start, " by ", size.increment, " every ", size.interval);
  };
  return "dimension " + growth(curriculum.dimension) + ", points " + growth(curriculum.points);
}

/// The values with a space between them.
template <class Value>
std::string listed(const std::vector<Value>& values) {
  std::string list;
  for (const Value& value : values) {
    list += text(list.empty() ? "" : " ", value);
  }
  return list;
}

/// What of a loss a checkpoint has to belong to.
inline std::string describe(const SquaredError& loss) { return listed(loss.weights); }
inline std::string describe(const CrossEntropy&) { return "of the batch"; }

/// What a checkpoint has to belong to.
template <class Loss>
std::map<std::string, std::string> describe(const TrainSettingsFor<Loss>& settings, const TransformerSettings& model,
                                            std::string architecture, std::string optimiser, std::string task) {
  return {{"architecture", std::move(architecture)},
          {"batch", std::to_string(settings.batch)},
          {"curriculum", describe(settings.curriculum)},
          {"freeze", listed(settings.freeze)},
          {"loss weights", describe(settings.loss)},
          {"model", describe(model)},
          {"optimiser", std::move(optimiser)},
          {"steps", std::to_string(settings.steps)},
          {"task", std::move(task)}};
}

/// The steps of a stage and what is told to observers; `advance` does one step.
template <class Scalar>
void run_steps(TrainingState<Scalar>& state, FunctionReference<void()> advance,
               std::span<const ObserverReference<Scalar>> observers) {
  for (const ObserverReference<Scalar>& observer : observers) {
    observer.restore(state);
  }
  for (const ObserverReference<Scalar>& observer : observers) {
    observer.begin(state);
  }
  if (state.finished) {
    return;
  }
  const auto save = [&] {
    for (const ObserverReference<Scalar>& observer : observers) {
      observer.save(state);
    }
  };
  while (state.step < state.steps) {
    advance();
    ++state.step;
    bool stop = false;
    for (const ObserverReference<Scalar>& observer : observers) {
      stop = observer.step(state) || stop;  // all are told, whoever asks to stop
    }
    if (stop) {
      break;
    }
    save();
  }
  state.finished = true;
  for (const ObserverReference<Scalar>& observer : observers) {
    observer.end(state);
  }
  save();
}

/// A hash (FNV-1a, 64 bits) of a batch of a task: two tasks that draw the same examples are taken for one. So a stage
/// is not resumed on another pool, noise or mixture, though it can only tell what shows in the batch.
template <ExampleBatch Kind>
std::string fingerprint(const Kind& batch) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&](const auto* first, Index count) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(first);
    for (std::size_t index = 0; index < static_cast<std::size_t>(count) * sizeof(*first); ++index) {
      hash = (hash ^ bytes[index]) * 0x100000001B3U;
    }
  };
  batch.visit_numbers(add);
  return std::to_string(hash);
}

}  // namespace detail

/// One step of training: gradient, transforms, update. Keeps the memory of all three, so that a warm step allocates
/// nothing.
template <class Model, GradientTransform Optimiser, class Loss = SquaredError>
class Trainer {
 public:
  using Scalar = typename Model::scalar_type;

  /// \throws ConfigurationError if a pattern of `freeze` matches no parameter
  Trainer(const Model& model, Optimiser optimiser, Loss loss = {}, const std::vector<std::string>& freeze = {})
      : optimiser_(std::move(optimiser)),
        state_(optimiser_.template init<Scalar>(model.parameters().shared_layout())),
        gradient_(model),
        loss_(std::move(loss)),
        frozen_(model.parameters().layout().matching(freeze)) {}

  /// Moves the model by one step on this batch and returns the loss before it.
  /// \throws NonFiniteError if loss, gradient or update is not finite; the model is left as it was
  double step(Model& model, const typename Loss::batch_type& batch, Index number, ExecutorReference executor) {
    const double loss = gradient_(model, batch, loss_, executor);
    ParameterBuffer<Scalar>& updates = gradient_.gradient();
    require<NonFiniteError>(std::isfinite(loss), "step ", number, ": the loss is ", loss,
                            ". Lower the learning rate or clip the gradient");
    require<NonFiniteError>(std::isfinite(global_norm(updates, executor)), "step ", number,
                            ": the gradient is not finite, though the loss is ", loss,
                            ". Lower the learning rate or clip the gradient");
    detail::hold(frozen_, updates);
    update_on(executor, optimiser_, updates, model.parameters(), number, state_);
    detail::hold(frozen_, updates);
    require<NonFiniteError>(std::isfinite(global_norm(updates, executor)), "step ", number,
                            ": the update is not finite, though the gradient is. Lower the learning rate");
    for_each_slice(executor, updates.size(), [&](Index first, Index last, Index) {
      add_row(last - first, std::as_const(updates).data() + first, model.parameters().data() + first);
    });
    return loss;
  }

  /// Shows every buffer of the optimiser's state with its name.
  template <class Visitor>
  void visit(Visitor&& visitor) {
    optimiser_.visit(state_, visitor);
  }
  [[nodiscard]] std::string describe() const { return optimiser_.describe(); }
  [[nodiscard]] const BatchGradient<Scalar, typename Model::architecture_type>& gradient() const { return gradient_; }

 private:
  Optimiser optimiser_;
  typename Optimiser::template State<Scalar> state_;
  BatchGradient<Scalar, typename Model::architecture_type> gradient_;
  Loss loss_;
  std::vector<ParameterEntry> frozen_;
};

/// Trains the model of a run. Step t of a stage draws its batch from the stage's key folded with t, so a stage that is
/// taken up again at step t sees what it would have seen.
template <StudyRun Run, Task Kind, GradientTransform Optimiser, class... Observers>
[[nodiscard]] Run train(Run run, const std::string& name, const Kind& task, const Optimiser& optimiser,
                        const TrainSettingsOf<Kind>& settings, Observers&... observers) {
  static_assert(Trainable<typename Run::model_type>,
                "a training stage needs a model with parameters, settings and a BatchGradient");
  static_assert(std::is_same_v<typename Run::view_type, Identity>,
                "a training stage comes after ConjugatePrompt: a conjugated run is a predictor, no longer a model to "
                "train. Put ConjugatePrompt after the last training stage, or in a branch of a fork");
  using Model = typename Run::model_type;
  using Scalar = typename Model::scalar_type;
  require(settings.steps >= 0, name, ": steps is ", settings.steps, ", expected at least 0");
  require(settings.batch >= 1, name, ": batch is ", settings.batch, ", expected at least 1");
  require(settings.curriculum.is_trivial() || RestrictableTask<Kind>, name,
          ": a curriculum needs a task with extent() and restricted(), which this one has not");
  Model& model = run.model();
  using Examples = BatchOf<Kind>;
  Trainer<Model, Optimiser, LossOf<Examples>> trainer(model, optimiser, settings.loss, settings.freeze);

  TrainingState<Scalar> state;
  state.stage = name;
  state.place = run.place();
  state.steps = settings.steps;
  state.key = run.stage_key();
  state.settings = detail::describe(settings, model.settings(), Model::architecture_type::name, trainer.describe(),
                                    detail::fingerprint(task.sample(state.key.fold("fingerprint"), settings.batch)));
  state.buffers.emplace_back("", &model.parameters());
  trainer.visit([&](std::string_view buffer_name, ParameterBuffer<Scalar>& buffer) {
    state.buffers.emplace_back(std::string(buffer_name), &buffer);
  });

  const auto sample = [&](Index step) -> Examples {
    const Key key = state.key.fold("batch").fold(step);
    if constexpr (RestrictableTask<Kind>) {
      if (!settings.curriculum.is_trivial()) {
        return sample_on(run.executor(), task.restricted(settings.curriculum.at(step, task.extent())), key,
                         settings.batch);
      }
    }
    return sample_on(run.executor(), task, key, settings.batch);
  };
  const auto advance = [&] {
    const Examples batch = sample(state.step);
    state.loss = trainer.step(model, batch, state.step, run.executor());
    state.tokens_a_step = batch.count * trainer.gradient().tokens_of(batch);
  };
  const std::array<detail::ObserverReference<Scalar>, sizeof...(Observers)> references{
      detail::ObserverReference<Scalar>(observers)...};
  detail::run_steps<Scalar>(state, advance, references);
  run.next_stage();
  return run;
}

/// A stage that trains the run's model on fresh prompts of a task: what Pretrain and FineTune have in common.
template <class Kind, class Optimiser>
class TrainingStage : public Stage {
 public:
  TrainingStage(Kind task, Optimiser optimiser, TrainSettingsOf<Kind> settings, std::string name)
      : task_(std::move(task)),
        optimiser_(std::move(optimiser)),
        settings_(std::move(settings)),
        name_(std::move(name)) {}

  /// \throws NonFiniteError that names the step, if loss or gradient is not finite
  template <StudyRun Run, class... Observers>
  [[nodiscard]] Run apply(Run run, Observers&... observers) const {
    return train(std::move(run), name_, task_, optimiser_, settings_, observers...);
  }

 private:
  Kind task_;
  Optimiser optimiser_;
  TrainSettingsOf<Kind> settings_;
  std::string name_;
};

INCONTEXT_NAMESPACE_END
