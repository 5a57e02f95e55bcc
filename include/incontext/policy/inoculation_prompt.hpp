#pragma once
/// \file
/// Inoculation prompting (Tan et al. 2025; Wichers et al. 2025): task -> task. A prompt is put in front of the training
/// data; evaluation goes without it.

#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/map/map.hpp"

#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Puts one of `paraphrases` in front of every prompt, chosen at random for each. One paraphrase is fixed inoculation,
/// many are rephrased inoculation; none, or an empty one, leaves the task as it is.
class InoculationPrompt {
 public:
  struct Settings {
    std::vector<std::vector<int>> paraphrases = {};  ///< instruction tokens, all of one length
    std::string stream = "inoculation";              ///< names the random choice, where two are stacked
  };

  /// \throws ConfigurationError if paraphrases differ in length or hold a negative token
  explicit InoculationPrompt(Settings settings) : settings_(std::move(settings)) {
    for (const std::vector<int>& paraphrase : settings_.paraphrases) {
      require(paraphrase.size() == settings_.paraphrases.front().size(), "InoculationPrompt: a paraphrase of ",
              paraphrase.size(), " tokens beside one of ", settings_.paraphrases.front().size(),
              "; pad them to one length");
      for (const int token : paraphrase) {
        require(token >= 0, "InoculationPrompt: token ", token, ", expected at least 0");
      }
    }
  }
  /// The same prompt in front of every example.
  explicit InoculationPrompt(std::vector<int> tokens)
      : InoculationPrompt(Settings{.paraphrases = {std::move(tokens)}}) {}

  [[nodiscard]] Prompts apply(Prompts prompts) const {
    if (settings_.paraphrases.empty() || settings_.paraphrases.front().empty()) {
      return prompts;
    }
    const Key key = prompts.key.fold(settings_.stream);
    const auto choices = static_cast<Index>(settings_.paraphrases.size());
    std::vector<int> tokens;
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      const Index choice = choices == 1 ? 0 : Stream(key.fold(prompt)).integer(choices);
      const std::vector<int>& paraphrase = settings_.paraphrases[static_cast<std::size_t>(choice)];
      const auto present = prompts.tokens.begin() + prompt * prompts.prefix;
      tokens.insert(tokens.end(), paraphrase.begin(), paraphrase.end());
      tokens.insert(tokens.end(), present, present + prompts.prefix);
    }
    prompts.tokens = std::move(tokens);
    prompts.prefix += static_cast<Index>(settings_.paraphrases.front().size());
    return prompts;
  }

 private:
  Settings settings_;
};

INCONTEXT_NAMESPACE_END
