#pragma once
/// The least that is a task over numbers.

#include "incontext/task/prompts.hpp"

namespace incontext_tests {

/// Prompts of zeros; a task of a user's that has no extent and knows nothing of executors.
struct Zeros {
  [[nodiscard]] incontext::Prompts sample(incontext::Key key, incontext::Index count) const {
    incontext::Prompts prompts(count, 4, 2);
    prompts.key = key;
    return prompts;
  }
};

}  // namespace incontext_tests
