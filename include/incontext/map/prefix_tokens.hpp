#pragma once
/// \file
/// Instruction tokens in front of every prompt.

#include "incontext/map/map.hpp"

#include <algorithm>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Puts the same tokens in front of every prompt, before the tokens that are there already. The inverse takes them
/// away again; predictions need none. No tokens at all are the identity.
class PrefixTokens {
 public:
  /// \param tokens indices into a model's table of instruction tokens
  /// \throws ConfigurationError if a token is negative
  explicit PrefixTokens(std::vector<int> tokens) : tokens_(std::move(tokens)) {
    for (const int token : tokens_) {
      require(token >= 0, "PrefixTokens: token ", token, ", expected at least 0");
    }
  }

  template <ExampleBatch Kind>
  [[nodiscard]] Kind apply(Kind batch) const {
    std::vector<int> instructions;
    for (Index example = 0; example < batch.count; ++example) {
      instructions.insert(instructions.end(), tokens_.begin(), tokens_.end());
    }
    batch.put_in_front(instructions, length());
    return batch;
  }

  /// \throws ShapeError if a prompt does not begin with the tokens
  template <ExampleBatch Kind>
  [[nodiscard]] Kind invert(Kind batch) const {
    require<ShapeError>(batch.prefix >= length(), "PrefixTokens::invert: prompts with ", batch.prefix,
                        " instruction tokens, expected at least ", length());
    for (Index example = 0; example < batch.count; ++example) {
      const auto [expected, found] = std::mismatch(tokens_.begin(), tokens_.end(), batch.instruction(example));
      if (expected != tokens_.end()) {
        raise<ShapeError>(text("PrefixTokens::invert: token ", expected - tokens_.begin(), " of prompt ", example,
                               " is ", *found, ", expected ", *expected));
      }
    }
    batch.drop_front(length());
    return batch;
  }

  template <ExampleBatch Kind>
  [[nodiscard]] PredictionsOf<Kind> invert_predictions(PredictionsOf<Kind> predictions, const Kind&) const {
    return predictions;
  }

  [[nodiscard]] const std::vector<int>& tokens() const { return tokens_; }

 private:
  [[nodiscard]] Index length() const { return static_cast<Index>(tokens_.size()); }

  std::vector<int> tokens_;
};

INCONTEXT_NAMESPACE_END
