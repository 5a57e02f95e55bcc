#pragma once
/// \file
/// A task seen through a prompt map: `task | map`.

#include "incontext/map/map.hpp"
#include "incontext/task/task.hpp"

#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// The batches of `Inner`, each mapped by `Map`.
template <Task Inner, class Map>
requires MapOn<Map, BatchOf<Inner>>
class MappedTask {
 public:
  MappedTask(Inner task, Map map) : task_(std::move(task)), map_(std::move(map)) {}

  [[nodiscard]] BatchOf<Inner> sample(Key key, Index count, ExecutorReference executor = {}) const {
    return map_.apply(sample_on(executor, task_, key, count));
  }

  /// The extent of the inner task.
  [[nodiscard]] Extent extent() const requires RestrictableTask<Inner> { return task_.extent(); }

  /// The restricted inner task, mapped. The coordinates that the restriction sets to zero are those before the map.
  [[nodiscard]] auto restricted(Extent extent) const requires RestrictableTask<Inner> {
    return MappedTask<decltype(task_.restricted(extent)), Map>(task_.restricted(extent), map_);
  }

  [[nodiscard]] const Inner& inner() const { return task_; }
  [[nodiscard]] const Map& map() const { return map_; }

 private:
  Inner task_;
  Map map_;
};

/// The task whose prompts are those of `task`, mapped by `map`.
template <Task Inner, class Map>
requires MapOn<Map, BatchOf<Inner>>
[[nodiscard]] MappedTask<Inner, Map> operator|(Inner task, Map map) {
  return MappedTask<Inner, Map>(std::move(task), std::move(map));
}

INCONTEXT_NAMESPACE_END
