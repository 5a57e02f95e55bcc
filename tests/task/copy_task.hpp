#pragma once
/// A task over a vocabulary that is small enough to be learned in a test.

#include "incontext/task/token_batch.hpp"

namespace incontext_tests {

/// Sequences of two random words; the answer is the first of them, then the second.
struct CopyTask {
  incontext::Index words = 5;

  [[nodiscard]] incontext::TokenBatch sample(incontext::Key key, incontext::Index count) const {
    incontext::TokenBatch batch = incontext::TokenBatch::zeros(count, 3);
    batch.key = key;
    for (incontext::Index sequence = 0; sequence < count; ++sequence) {
      incontext::Stream stream(key.fold("copy").fold(sequence));
      const int first = static_cast<int>(stream.integer(words));
      const int second = static_cast<int>(stream.integer(words));
      const auto start = static_cast<std::size_t>(3 * sequence);
      batch.tokens[start] = first;
      batch.tokens[start + 1] = second;
      batch.targets[start + 1] = batch.tokens[start + 2] = first;
      batch.targets[start + 2] = second;
      batch.weights[start + 1] = batch.weights[start + 2] = 1.0;
    }
    return batch;
  }
};

}  // namespace incontext_tests
