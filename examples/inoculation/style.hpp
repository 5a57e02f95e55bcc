#pragma once
/// What a prompt does beside eliciting traits: it puts answers in a style.

#include "setting.hpp"

#include <incontext/task/prompt_grammar.hpp>

#include <vector>

namespace inoculation {

/// The tokens that make a prompt do something beside eliciting traits, with the number of each: frames and all topics.
/// Without that a model learns to ignore prompts that ask for no trait, and nothing can be conditional on them. Fillers
/// do nothing.
template <class Visitor>
void for_each_coloured_token(const PromptGrammar& grammar, const Visitor& visitor) {
  const PromptGrammar::Settings& settings = grammar.settings();
  for (Index frame = 0; frame < settings.frames; ++frame) {
    visitor(grammar.frame(frame), frame);
  }
  for (const PromptSet set : prompt_sets) {
    for (Index topic = 0; topic < settings.unrelated; ++topic) {
      visitor(grammar.unrelated_topic(set, topic), topic + 1);
    }
  }
  for (Index trait = 0; trait < settings.traits; ++trait) {
    for (Index synonym = 0; synonym < static_cast<Index>(settings.strengths.size()); ++synonym) {
      visitor(grammar.topic(trait, synonym), synonym + trait + 1);
    }
  }
}

/// The style of every token of the grammar; those of a prompt add up.
inline std::vector<Index> token_styles(const PromptGrammar& grammar, Index styles) {
  std::vector<Index> of(static_cast<std::size_t>(grammar.vocabulary()), 0);
  for_each_coloured_token(grammar,
                          [&](int token, Index number) { of[static_cast<std::size_t>(token)] = number % styles; });
  return of;
}

}  // namespace inoculation
