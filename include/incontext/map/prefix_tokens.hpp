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

  [[nodiscard]] Prompts apply(Prompts prompts) const {
    std::vector<int> tokens;
    tokens.reserve(prompts.tokens.size() + tokens_.size() * static_cast<std::size_t>(prompts.count));
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const auto present = prompts.tokens.begin() + prompt * prompts.prefix;
      tokens.insert(tokens.end(), tokens_.begin(), tokens_.end());
      tokens.insert(tokens.end(), present, present + prompts.prefix);
    }
    prompts.tokens = std::move(tokens);
    prompts.prefix += length();
    return prompts;
  }

  /// \throws ShapeError if a prompt does not begin with the tokens
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    require<ShapeError>(prompts.prefix >= length(), "PrefixTokens::invert: prompts with ", prompts.prefix,
                        " instruction tokens, expected at least ", length());
    std::vector<int> tokens;
    tokens.reserve(prompts.tokens.size());
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const auto present = prompts.tokens.begin() + prompt * prompts.prefix;
      const auto [expected, found] = std::mismatch(tokens_.begin(), tokens_.end(), present);
      if (expected != tokens_.end()) {
        raise<ShapeError>(text("PrefixTokens::invert: token ", expected - tokens_.begin(), " of prompt ", prompt,
                               " is ", *found, ", expected ", *expected));
      }
      tokens.insert(tokens.end(), present + length(), present + prompts.prefix);
    }
    prompts.tokens = std::move(tokens);
    prompts.prefix -= length();
    return prompts;
  }

  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const { return predictions; }

  [[nodiscard]] const std::vector<int>& tokens() const { return tokens_; }

 private:
  [[nodiscard]] Index length() const { return static_cast<Index>(tokens_.size()); }

  std::vector<int> tokens_;
};

INCONTEXT_NAMESPACE_END
