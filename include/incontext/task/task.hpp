#pragma once
/// \file
/// What a task is. Any type that models this concept works everywhere in the library; nothing is registered.

#include "incontext/task/prompts.hpp"

INCONTEXT_NAMESPACE_BEGIN

/// A distribution over prompts. `sample` is pure: the same key gives the same prompts, on any thread, and the first
/// m of n prompts are the m prompts of a smaller batch.
template <class Type>
concept Task = std::copy_constructible<Type> && requires(const Type& task, Key key, Index count) {
  { task.sample(key, count) } -> std::same_as<Prompts>;
};

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
