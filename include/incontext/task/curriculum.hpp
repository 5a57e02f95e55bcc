#pragma once
/// \file
/// A curriculum over dimensions and points (Garg et al. 2022, appendix A.2): short prompts in few dimensions first.

#include "incontext/core/error.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>

INCONTEXT_NAMESPACE_BEGIN

/// One size that grows: from `start`, by `increment` every `interval` steps, until the task's own size.
struct Growth {
  Index start = 0;  ///< 0 means the task's own size from the beginning
  Index increment = 1;
  Index interval = 2000;

  /// The size after `step` steps, at most `full`. \throws ConfigurationError if a value makes no sense
  [[nodiscard]] Index at(Index step, Index full) const {
    if (start == 0) {
      return full;
    }
    require(start >= 1 && increment >= 1 && interval >= 1, "Growth: start, increment and interval are ", start, ", ",
            increment, " and ", interval, ", expected at least 1");
    return (std::min)(full, start + step / interval * increment);
  }
};

/// What of a task is shown at which step. Garg et al. 2022 at d = 20: dimension 5 by 1, points 11 by 2, every 2,000.
struct Curriculum {
  Growth dimension;
  Growth points;

  /// The extent after `step` steps of a task whose full extent is `full`.
  [[nodiscard]] Extent at(Index step, Extent full) const {
    return {.dimension = dimension.at(step, full.dimension), .points = points.at(step, full.points)};
  }
  /// Whether it ever restricts anything.
  [[nodiscard]] bool is_trivial() const { return dimension.start == 0 && points.start == 0; }
};

INCONTEXT_NAMESPACE_END
