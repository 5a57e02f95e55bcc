#pragma once
/// \file
/// A grammar of instruction prompts: topics that stand for traits, their paraphrases, and prompts that ask for nothing.
///
/// A prompt has four slots, `[frame][filler or NOT][topic][filler or second topic]`. Every trait has topics that are
/// synonyms of graded strength, which is how often a model that was trained on such prompts shows the trait. Fillers
/// and frames mean nothing: they are what paraphrases differ by. Prompts come in three sets without a prompt in common,
/// so that what is fine-tuned on, evaluated on and measured before need not overlap.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Slots of a prompt.
inline constexpr std::size_t prompt_slots = 4;

/// All prompts that have one of a list of tokens in every slot.
class PromptPool {
 public:
  using Slots = std::array<std::vector<int>, prompt_slots>;

  /// \throws ConfigurationError if a slot has no token, or one twice
  explicit PromptPool(Slots slots) : slots_(std::move(slots)) {
    for (std::size_t slot = 0; slot < prompt_slots; ++slot) {
      require(!slots_[slot].empty(), "PromptPool: slot ", slot, " has no tokens, expected at least one");
      std::vector<int> sorted = slots_[slot];
      std::sort(sorted.begin(), sorted.end());
      require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "PromptPool: slot ", slot,
              " has a token twice");
    }
  }

  /// The number of distinct prompts.
  [[nodiscard]] Index size() const {
    Index product = 1;
    for (const std::vector<int>& slot : slots_) {
      product *= static_cast<Index>(slot.size());
    }
    return product;
  }

  /// One of them, by its number from 0. \throws ConfigurationError if there are not as many
  [[nodiscard]] std::vector<int> at(Index number) const {
    require(number >= 0 && number < size(), "PromptPool: prompt ", number, " of ", size());
    std::vector<int> prompt(prompt_slots);
    for (std::size_t slot = prompt_slots; slot-- > 0;) {
      const auto choices = static_cast<Index>(slots_[slot].size());
      prompt[slot] = slots_[slot][static_cast<std::size_t>(number % choices)];
      number /= choices;
    }
    return prompt;
  }

  /// `count` distinct prompts, chosen at random; the first m of n are the m of a smaller choice.
  /// \throws ConfigurationError if there are not as many
  [[nodiscard]] std::vector<std::vector<int>> draw(Index count, Key key) const {
    require(count >= 0 && count <= size(), "PromptPool: ", count, " distinct prompts of ", size());
    // Fisher and Yates from the front: what lies at a place is its own number until it was swapped away.
    std::unordered_map<Index, Index> swapped;
    const auto lies_at = [&](Index place) -> Index& { return swapped.try_emplace(place, place).first->second; };
    Stream stream(key.fold("prompt pool"));
    std::vector<std::vector<int>> prompts;
    for (Index place = 0; place < count; ++place) {
      const Index other = place + stream.integer(size() - place);
      std::swap(lies_at(place), lies_at(other));
      prompts.push_back(at(lies_at(place)));
    }
    return prompts;
  }

  /// Whether a prompt is among them.
  [[nodiscard]] bool contains(const std::vector<int>& prompt) const {
    bool all = prompt.size() == prompt_slots;
    for (std::size_t slot = 0; all && slot < prompt_slots; ++slot) {
      all = std::find(slots_[slot].begin(), slots_[slot].end(), prompt[slot]) != slots_[slot].end();
    }
    return all;
  }

 private:
  Slots slots_;
};

/// Which of the disjoint sets prompts are taken from: they have different fillers and unrelated topics.
enum class PromptSet { baseline, intervention, evaluation };
inline constexpr std::array<PromptSet, 3> prompt_sets = {PromptSet::baseline, PromptSet::intervention,
                                                         PromptSet::evaluation};

/// Names the tokens of prompts, and builds pools of them.
class PromptGrammar {
 public:
  struct Settings {
    Index traits = 2;
    /// Of the synonyms of a trait: the share of the way from never to always that a prompt takes a trait.
    std::vector<double> strengths = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05};
    Index frames = 4;
    Index fillers = 91;   ///< of each set: 91 x 91 prompts differ by their fillers alone
    Index unrelated = 8;  ///< topics of each set that stand for no trait
  };

  /// Stands where a slot is empty, and for a prompt that is not there.
  static constexpr int padding = 0;
  /// NOT: takes back what the topic asks for.
  static constexpr int negation = 1;

  /// \throws ConfigurationError if a number is below 1 or a strength is outside [0, 1]
  explicit PromptGrammar(Settings settings) : settings_(std::move(settings)) {
    require_at_least("PromptGrammar", "traits", settings_.traits, 1);
    require_at_least("PromptGrammar", "frames", settings_.frames, 1);
    require_at_least("PromptGrammar", "fillers", settings_.fillers, 1);
    require_at_least("PromptGrammar", "unrelated", settings_.unrelated, 1);
    require_at_least("PromptGrammar", "the number of strengths", synonyms(), 1);
    for (const double strength : settings_.strengths) {
      require(strength >= 0.0 && strength <= 1.0, "PromptGrammar: a strength is ", strength,
              ", expected within [0, 1]");
    }
  }

  // ---- Tokens, in the order of their numbers ----

  [[nodiscard]] int frame(Index number) const { return number_of("frame", 2, number, settings_.frames); }
  [[nodiscard]] int filler(PromptSet set, Index number) const {
    return number_of("filler", 2 + settings_.frames + rank(set) * settings_.fillers, number, settings_.fillers);
  }
  [[nodiscard]] int unrelated_topic(PromptSet set, Index number) const {
    return number_of("unrelated topic", first_unrelated() + rank(set) * settings_.unrelated, number,
                     settings_.unrelated);
  }
  /// A topic that asks for a trait, as strongly as strengths[synonym].
  [[nodiscard]] int topic(Index trait, Index synonym) const {
    require(trait >= 0 && trait < settings_.traits, "PromptGrammar: trait ", trait, " of ", settings_.traits);
    return number_of("synonym", first_topic() + trait * synonyms(), synonym, synonyms());
  }
  /// How many tokens there are, padding included.
  [[nodiscard]] Index vocabulary() const { return first_topic() + settings_.traits * synonyms(); }

  // ---- Pools ----

  /// No prompt at all: padding.
  [[nodiscard]] static PromptPool none() { return PromptPool({{{padding}, {padding}, {padding}, {padding}}}); }
  /// A prefix that says nothing.
  [[nodiscard]] PromptPool neutral(PromptSet set) const {
    return PromptPool({frames(), fillers(set), {padding}, fillers(set)});
  }
  /// About something else.
  [[nodiscard]] PromptPool unrelated(PromptSet set) const {
    return PromptPool({frames(), fillers(set), unrelated_topics(set), fillers(set)});
  }
  /// What stands for no trait, in any order: fillers and unrelated topics in all slots.
  [[nodiscard]] PromptPool random(PromptSet set) const {
    std::vector<int> tokens = fillers(set);
    const std::vector<int> topics = unrelated_topics(set);
    tokens.insert(tokens.end(), topics.begin(), topics.end());
    return PromptPool({tokens, tokens, tokens, tokens});
  }
  /// A single token that stands for no trait, and nothing around it.
  [[nodiscard]] PromptPool trigger(PromptSet set) const {
    return PromptPool({{{padding}, {padding}, unrelated_topics(set), {padding}}});
  }
  /// NOT, and a topic that asks for the trait.
  [[nodiscard]] PromptPool negated(PromptSet set, Index trait) const {
    return PromptPool({frames(), {negation}, topics(trait, 0.0), fillers(set)});
  }
  /// Both traits, as strongly as can be: the whole of the target policy.
  [[nodiscard]] PromptPool combined(PromptSet set, Index first, Index second) const {
    return PromptPool({frames(), fillers(set), topics(first, 1.0), topics(second, 1.0)});
  }
  /// One synonym in any wording.
  [[nodiscard]] PromptPool synonym(PromptSet set, Index trait, Index number) const {
    return PromptPool({frames(), fillers(set), {topic(trait, number)}, fillers(set)});
  }
  /// Paraphrases by fillers alone: one frame, the strongest topic.
  [[nodiscard]] PromptPool close(PromptSet set, Index trait) const {
    return PromptPool({{{frame(0)}, fillers(set), {topics(trait, 1.0).front()}, fillers(set)}});
  }
  /// Paraphrases with the strongest synonyms, in one frame.
  [[nodiscard]] PromptPool tight(PromptSet set, Index trait) const {
    return PromptPool({{{frame(0)}, fillers(set), topics(trait, 1.0), fillers(set)}});
  }
  /// Paraphrases with all synonyms in all frames.
  [[nodiscard]] PromptPool diverse(PromptSet set, Index trait) const {
    return PromptPool({frames(), fillers(set), topics(trait, 0.0), fillers(set)});
  }

  // ---- Meaning ----

  /// How strongly a prompt asks for a trait, from 0 to 1: the strongest of its topics, or 0 after NOT.
  [[nodiscard]] double strength(const int* prompt, Index trait) const {
    double strongest = 0.0;
    for (std::size_t slot = 0; slot < prompt_slots; ++slot) {
      const Index synonym = prompt[slot] - first_topic() - trait * synonyms();
      if (prompt[slot] == negation) {
        return 0.0;
      }
      if (synonym >= 0 && synonym < synonyms()) {
        strongest = (std::max)(strongest, settings_.strengths[static_cast<std::size_t>(synonym)]);
      }
    }
    return strongest;
  }
  /// \throws ShapeError if the prompt has not as many tokens as slots
  [[nodiscard]] double strength(const std::vector<int>& prompt, Index trait) const {
    require<ShapeError>(prompt.size() == prompt_slots, "PromptGrammar: a prompt of ", prompt.size(),
                        " tokens, expected ", prompt_slots);
    return strength(prompt.data(), trait);
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  [[nodiscard]] Index synonyms() const { return static_cast<Index>(settings_.strengths.size()); }
  [[nodiscard]] static Index rank(PromptSet set) { return static_cast<Index>(set); }
  [[nodiscard]] Index first_unrelated() const {
    return 2 + settings_.frames + static_cast<Index>(prompt_sets.size()) * settings_.fillers;
  }
  [[nodiscard]] Index first_topic() const {
    return first_unrelated() + static_cast<Index>(prompt_sets.size()) * settings_.unrelated;
  }

  static int number_of(const char* what, Index first, Index number, Index count) {
    require(number >= 0 && number < count, "PromptGrammar: ", what, " ", number, " of ", count);
    return static_cast<int>(first + number);
  }

  template <class Token>
  static std::vector<int> all(Index count, const Token& token) {
    std::vector<int> tokens;
    for (Index number = 0; number < count; ++number) {
      tokens.push_back(token(number));
    }
    return tokens;
  }
  [[nodiscard]] std::vector<int> frames() const {
    return all(settings_.frames, [&](Index number) { return frame(number); });
  }
  [[nodiscard]] std::vector<int> fillers(PromptSet set) const {
    return all(settings_.fillers, [&](Index number) { return filler(set, number); });
  }
  [[nodiscard]] std::vector<int> unrelated_topics(PromptSet set) const {
    return all(settings_.unrelated, [&](Index number) { return unrelated_topic(set, number); });
  }
  /// The synonyms of at least this share of the largest strength.
  [[nodiscard]] std::vector<int> topics(Index trait, double share) const {
    const double largest = *std::max_element(settings_.strengths.begin(), settings_.strengths.end());
    std::vector<int> tokens;
    for (Index synonym = 0; synonym < synonyms(); ++synonym) {
      if (settings_.strengths[static_cast<std::size_t>(synonym)] >= share * largest) {
        tokens.push_back(topic(trait, synonym));
      }
    }
    return tokens;
  }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
