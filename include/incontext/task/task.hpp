#pragma once
/// \file
/// What a task is. Any type that models this concept works everywhere in the library; nothing is registered.

#include "incontext/core/executor.hpp"
#include "incontext/task/example_batch.hpp"

#include <concepts>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// A distribution over examples of one medium. `sample` is pure: the same key gives the same batch, on any thread, and
/// the first m of n examples are the m examples of a smaller batch.
template <class Type>
concept Task = std::copy_constructible<Type> && requires(const Type& task, Key key, Index count) {
  { task.sample(key, count) } -> ExampleBatch;
};

namespace detail {

template <class Type>
struct BatchOfTask {
  using type = Prompts;  // of what is no task: the error about that comes later, and can be read
};
template <Task Type>
struct BatchOfTask<Type> {
  using type = decltype(std::declval<const Type&>().sample(Key{}, Index{}));
};

}  // namespace detail

/// What a task samples.
template <class Type>
using BatchOf = typename detail::BatchOfTask<Type>::type;

/// A task of one medium.
template <class Type, class Kind>
concept TaskOf = Task<Type> && std::same_as<BatchOf<Type>, Kind>;

/// Parts that a batch is drawn in where a task is given an executor.
inline constexpr Index parts_of_sample = 8;

/// `task.sample(key, count)`, drawn on the executor's threads where the task takes one as a third argument. It does if
/// every example has streams of its own; so the threads never change a bit.
template <Task Type>
[[nodiscard]] BatchOf<Type> sample_on(ExecutorReference executor, const Type& task, Key key, Index count) {
  if constexpr (requires { task.sample(key, count, executor); }) {
    return task.sample(key, count, executor);
  } else {
    return task.sample(key, count);
  }
}

/// How much of a task a curriculum shows: inputs beyond `dimension` are zero, prompts end after `points`.
struct Extent {
  Index dimension = 0;
  Index points = 0;
  bool operator==(const Extent&) const = default;
};

/// A task that a curriculum can restrict: its labels are those of the restricted inputs.
template <class Type>
concept RestrictableTask = Task<Type> && requires(const Type& task, Extent extent) {
  { task.extent() } -> std::same_as<Extent>;
  { task.restricted(extent) } -> Task;
};

INCONTEXT_NAMESPACE_END
