#pragma once
/// \file
/// Observers: what a training stage tells of itself, and to whom. Hooks are found by their signature; an observer has
/// those that it wants, and needs no base class.

#include "incontext/core/config.hpp"
#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/report/record.hpp"

#include <concepts>
#include <map>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Everything that a training stage needs to go on later: what a checkpoint holds.
template <class Scalar>
struct TrainingState {
  std::string stage;        ///< "pretrain", "fine-tune", or the name that the user gave
  std::string place;        ///< where in the study, unique (Run::place)
  Index step = 0;           ///< steps done
  Index steps = 0;          ///< steps in all
  Index tokens_a_step = 0;  ///< tokens of the last batch
  bool finished = false;    ///< done, or stopped early
  double loss = 0.0;        ///< of the last step
  Key key;                  ///< of the stage
  /// What must be the same for a checkpoint to belong to this stage: model, optimiser, batch, ...
  std::map<std::string, std::string> settings;
  /// Numbers that observers remember across a resumption, by name.
  std::map<std::string, double> memory;
  /// The parameters, under the name "", and the optimiser's buffers under theirs.
  std::vector<std::pair<std::string, ParameterBuffer<Scalar>*>> buffers;
};

/// What `on_step` may return; returning nothing is to continue.
enum class Signal { proceed, stop };

/// The hooks, in the order in which they are called; `state` is a TrainingState<Scalar>.
///   void restore(state)           may fill in a saved state, once, before the first step
///   void on_begin(state)          before the first step
///   Signal or void on_step(state) after every step
///   void on_end(state)            after the last step, `finished` is set
///   void save(state)              after on_step and after on_end of all observers, so that it sees what they remember
/// A step after which an observer stops the stage has on_end, but no save of its own. A stage that is restored as
/// finished has no on_end. Besides, Evaluate shows what it measured:
///   void on_records(records)      a std::vector<Record>, once for every Evaluate
namespace detail {

template <class State, class Observer>
void restore(State& state, Observer& observer) {
  if constexpr (requires { observer.restore(state); }) {
    observer.restore(state);
  }
}

template <class State, class Observer>
void begin(State& state, Observer& observer) {
  if constexpr (requires { observer.on_begin(state); }) {
    observer.on_begin(state);
  }
}

/// True if the observer asks to stop.
template <class State, class Observer>
[[nodiscard]] bool step(State& state, Observer& observer) {
  if constexpr (requires {
                  { observer.on_step(state) } -> std::same_as<Signal>;
                }) {
    return observer.on_step(state) == Signal::stop;
  } else if constexpr (requires { observer.on_step(state); }) {
    observer.on_step(state);
  }
  return false;
}

template <class State, class Observer>
void end(State& state, Observer& observer) {
  if constexpr (requires { observer.on_end(state); }) {
    observer.on_end(state);
  }
}

template <class State, class Observer>
void save(const State& state, Observer& observer) {
  if constexpr (requires { observer.save(state); }) {
    observer.save(state);
  }
}

/// A non-owning reference to an observer of training stages: a training loop is compiled once, whoever is told.
template <class Scalar>
class ObserverReference {
 public:
  using State = TrainingState<Scalar>;

  template <class Observer>
  explicit ObserverReference(Observer& observer)
      : observer_(const_cast<void*>(static_cast<const void*>(&observer))), hooks_(&hooks_of<Observer>) {}

  void restore(State& state) const { hooks_->restore(observer_, state); }
  void begin(State& state) const { hooks_->begin(observer_, state); }
  /// True if the observer asks to stop.
  [[nodiscard]] bool step(State& state) const { return hooks_->step(observer_, state); }
  void end(State& state) const { hooks_->end(observer_, state); }
  void save(const State& state) const { hooks_->save(observer_, state); }

 private:
  struct Hooks {
    void (*restore)(void*, State&);
    void (*begin)(void*, State&);
    bool (*step)(void*, State&);
    void (*end)(void*, State&);
    void (*save)(void*, const State&);
  };
  template <class Observer>
  static constexpr Hooks hooks_of = {
      [](void* observer, State& state) { detail::restore(state, *static_cast<Observer*>(observer)); },
      [](void* observer, State& state) { detail::begin(state, *static_cast<Observer*>(observer)); },
      [](void* observer, State& state) { return detail::step(state, *static_cast<Observer*>(observer)); },
      [](void* observer, State& state) { detail::end(state, *static_cast<Observer*>(observer)); },
      [](void* observer, const State& state) { detail::save(state, *static_cast<Observer*>(observer)); }};

  void* observer_;
  const Hooks* hooks_;
};

template <class Observer>
void show(const std::vector<Record>& records, Observer& observer) {
  if constexpr (requires { observer.on_records(records); }) {
    observer.on_records(records);
  }
}

}  // namespace detail

INCONTEXT_NAMESPACE_END
