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
    /// Example i of a batch gets paraphrase i, and so on from the first again: of a finite data set, none is used more
    /// than once more often than another.
    bool in_turn = false;
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

  template <ExampleBatch Kind>
  [[nodiscard]] Kind apply(Kind batch) const {
    if (settings_.paraphrases.empty() || settings_.paraphrases.front().empty()) {
      return batch;
    }
    const Key key = batch.key.fold(settings_.stream);
    const auto choices = static_cast<Index>(settings_.paraphrases.size());
    std::vector<int> instructions;
    for (Index example = 0; example < batch.count; ++example) {
      const Index choice = settings_.in_turn ? example % choices
                           : choices == 1    ? 0
                                             : Stream(key.fold(example)).integer(choices);
      const std::vector<int>& paraphrase = settings_.paraphrases[static_cast<std::size_t>(choice)];
      instructions.insert(instructions.end(), paraphrase.begin(), paraphrase.end());
    }
    batch.put_in_front(instructions, static_cast<Index>(settings_.paraphrases.front().size()));
    return batch;
  }

 private:
  Settings settings_;
};

INCONTEXT_NAMESPACE_END
