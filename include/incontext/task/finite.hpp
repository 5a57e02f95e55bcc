#pragma once
/// \file
/// A finite data set: examples that are drawn once, and seen again and again.

#include "incontext/core/error.hpp"
#include "incontext/task/task.hpp"

#include <memory>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// `size` examples of a task, kept. A batch draws from them with replacement. Whether a model learned a task or
/// remembers its examples shows in the difference to the task itself.
template <Task Kind>
class Finite {
 public:
  using batch_type = BatchOf<Kind>;

  /// \throws ConfigurationError if size < 1
  Finite(const Kind& task, Index size, Key key) {
    require(size >= 1, "Finite: size is ", size, ", expected at least 1");
    examples_ = std::make_shared<const batch_type>(task.sample(key, size));
  }

  [[nodiscard]] batch_type sample(Key key, Index count) const {
    batch_type batch = examples_->resized(count);
    batch.key = key;
    for (Index example = 0; example < count; ++example) {
      batch.replace(example, *examples_, Stream(key.fold("finite").fold(example)).integer(examples_->count));
    }
    return batch;
  }

  /// All of them, once.
  [[nodiscard]] const batch_type& examples() const { return *examples_; }

 private:
  std::shared_ptr<const batch_type> examples_;
};

INCONTEXT_NAMESPACE_END
