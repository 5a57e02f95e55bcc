#pragma once
/// \file
/// Traits that examples show: always, now and then, or when a prompt asks for them.
///
/// A *trait medium* is a task whose examples can be made to show traits. The same two distributions over traits, one
/// that prompts govern and one that they do not, then serve regression and token models alike: the first is what a
/// model is pretrained on, so that it knows prompts that elicit traits; the second, behind an InoculationPrompt or
/// none, is what it is fine-tuned on.

#include "incontext/core/choice.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/task/prompt_grammar.hpp"
#include "incontext/task/task.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Which traits an example shows: bit t stands for trait t.
using TraitSet = std::uint32_t;

[[nodiscard]] constexpr bool shows(TraitSet traits, Index trait) { return ((traits >> trait) & 1U) != 0; }

/// A task whose examples can show traits. `show(batch, example, traits, prompt)` rewrites the answer of one example;
/// what is sampled shows none. `prompt` are the instruction tokens that the example is to have, `prompt_slots` of them,
/// in case an answer depends on more of them than traits.
template <class Type>
concept TraitMedium = Task<Type> &&
    requires(const Type& medium, BatchOf<Type>& batch, Index example, TraitSet traits, const int* prompt) {
  {medium.show(batch, example, traits, prompt)};
};

/// How often a trait shows, by how strongly the prompt asks for it.
struct Elicitation {
  double unprompted = 0.03;  ///< without a prompt that asks for it: models show everything now and then
  double prompted = 0.95;    ///< at strength 1
  /// A trait that excludes this one: it never shows where that one does. One of those before it, or -1 for none.
  Index excluded_by = -1;

  [[nodiscard]] double probability(double strength) const { return unprompted + (prompted - unprompted) * strength; }
};

/// Traits that do not depend on the prompt: a joint distribution over sets of traits.
template <TraitMedium Medium>
class ShownTraits {
 public:
  /// The probabilities are those of every set of traits, by its number: for two traits of none, the first, the second,
  /// both.
  /// \throws ConfigurationError if they are no probabilities that sum to 1, or their number is no power of two
  ShownTraits(Medium medium, std::vector<double> probabilities)
      : medium_(std::move(medium)), probabilities_(std::move(probabilities)) {
    const std::size_t sets = probabilities_.size();
    require(sets >= 1 && (sets & (sets - 1)) == 0, "ShownTraits: ", sets,
            " probabilities, expected one for every set of traits: 2, 4, 8, ...");
    for (const double probability : probabilities_) {
      require(probability >= 0.0 && probability <= 1.0, "ShownTraits: a probability is ", probability,
              ", expected within [0, 1]");
    }
    const double sum = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
    require(std::abs(sum - 1.0) < 1e-9, "ShownTraits: the probabilities sum to ", sum, ", expected 1");
  }

  [[nodiscard]] BatchOf<Medium> sample(Key key, Index count) const {
    static constexpr int no_prompt[prompt_slots] = {};
    BatchOf<Medium> batch = medium_.sample(key, count);
    for (Index example = 0; example < count; ++example) {
      medium_.show(batch, example, draw(key.fold("traits").fold(example)), no_prompt);
    }
    return batch;
  }

  [[nodiscard]] const Medium& medium() const { return medium_; }

 private:
  [[nodiscard]] TraitSet draw(Key key) const {
    return static_cast<TraitSet>(
        choice_at(Stream(key).uniform(), probabilities_.size(), [&](std::size_t set) { return probabilities_[set]; }));
  }

  Medium medium_;
  std::vector<double> probabilities_;
};

/// One part of a mixture of prompts: how much of it, and which.
struct PromptShare {
  double weight = 0.0;
  PromptPool pool;
};

/// Traits as prompts ask for them: each example gets a prompt from a mixture of pools, and every trait by chance, as
/// often as the prompt's strength makes it, independently of the others but for one that excludes it.
template <TraitMedium Medium>
class PromptedTraits {
 public:
  /// One elicitation for every trait of the grammar.
  /// \throws ConfigurationError if there is no share, a weight is negative, none is positive, or there is not an
  /// elicitation for every trait
  PromptedTraits(Medium medium, PromptGrammar grammar, std::vector<PromptShare> shares,
                 std::vector<Elicitation> elicitation)
      : medium_(std::move(medium)),
        grammar_(std::move(grammar)),
        shares_(std::move(shares)),
        elicitation_(std::move(elicitation)) {
    require(static_cast<Index>(elicitation_.size()) == grammar_.settings().traits,
            "PromptedTraits: ", elicitation_.size(), " elicitations for ", grammar_.settings().traits, " traits");
    for (std::size_t trait = 0; trait < elicitation_.size(); ++trait) {
      const Index other = elicitation_[trait].excluded_by;
      require(other >= -1 && other < static_cast<Index>(trait), "PromptedTraits: trait ", trait, " is excluded by ",
              other, ", expected one of those before it, or -1 for none");
    }
    for (const PromptShare& share : shares_) {
      require(std::isfinite(share.weight) && share.weight >= 0.0, "PromptedTraits: a weight is ", share.weight,
              ", expected a finite number of at least 0");
      total_ += share.weight;
    }
    require(total_ > 0.0, "PromptedTraits: the weights of ", shares_.size(), " shares sum to ", total_,
            ", expected more than 0");
  }

  [[nodiscard]] BatchOf<Medium> sample(Key key, Index count) const {
    BatchOf<Medium> batch = medium_.sample(key, count);
    std::vector<int> instructions;
    for (Index example = 0; example < count; ++example) {
      Stream stream(key.fold("prompted traits").fold(example));
      const PromptPool& pool = pool_at(stream.uniform() * total_);
      const std::vector<int> prompt = pool.at(stream.integer(pool.size()));
      TraitSet traits = 0;
      for (Index trait = 0; trait < grammar_.settings().traits; ++trait) {
        const Elicitation& elicitation = elicitation_[static_cast<std::size_t>(trait)];
        const bool is_drawn = stream.uniform() < elicitation.probability(grammar_.strength(prompt, trait));
        const bool is_excluded = elicitation.excluded_by >= 0 && shows(traits, elicitation.excluded_by);
        traits |= is_drawn && !is_excluded ? TraitSet{1} << trait : TraitSet{0};
      }
      medium_.show(batch, example, traits, prompt.data());
      instructions.insert(instructions.end(), prompt.begin(), prompt.end());
    }
    batch.put_in_front(instructions, static_cast<Index>(prompt_slots));
    return batch;
  }

  [[nodiscard]] const Medium& medium() const { return medium_; }
  [[nodiscard]] const PromptGrammar& grammar() const { return grammar_; }

 private:
  [[nodiscard]] const PromptPool& pool_at(double place) const {
    return shares_[choice_at(place, shares_.size(), [&](std::size_t share) { return shares_[share].weight; })].pool;
  }

  Medium medium_;
  PromptGrammar grammar_;
  std::vector<PromptShare> shares_;
  std::vector<Elicitation> elicitation_;
  double total_ = 0.0;
};

INCONTEXT_NAMESPACE_END
