#pragma once
/// Languages with one meaning: every word is a number in language 1, and has another name, or the same, in the others.

#include "settings.hpp"

#include <incontext/incontext.hpp>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace translation {

using namespace incontext;

/// Says every sequence in one of several languages, each as likely as the others.
class SayInAnyOf {
 public:
  /// \param languages the translations from the language of the sequences
  explicit SayInAnyOf(std::vector<Translate> languages) : languages_(std::move(languages)) {
    require(!languages_.empty(), "SayInAnyOf: there are no languages, expected at least one");
  }

  [[nodiscard]] TokenBatch apply(TokenBatch batch) const {
    std::vector<TokenBatch> said;
    for (const Translate& language : languages_) {
      said.push_back(language.apply(batch));
    }
    for (Index sequence = 0; sequence < batch.count; ++sequence) {
      Stream stream(batch.key.fold("language").fold(sequence));
      const auto chosen = static_cast<std::size_t>(stream.integer(static_cast<Index>(languages_.size())));
      batch.replace(sequence, said[chosen], sequence);
    }
    return batch;
  }

 private:
  std::vector<Translate> languages_;
};

static_assert(MapOn<SayInAnyOf, TokenBatch>);

/// The languages of one seed. Tokens 0, ..., words - 1 are language 1; every other language has as many of them as its
/// similarity says, and tokens of its own for the rest. Last come the words of a language that nobody learns.
///
/// Every translation swaps words, so that it is a bijection of the whole vocabulary: from language 1 it leads to the
/// other language, and back again.
class Languages {
 public:
  Languages(const Settings& settings, Key root) : words_(settings.words) {
    Index vocabulary = settings.words;
    std::map<double, Pairs> pairs;
    for (const double similarity : settings.similarities) {
      Stream stream(root.fold("shared words").fold(shortest_text(similarity)));
      const auto order = stream.permutation(words_);
      const auto shared = static_cast<Index>(similarity * static_cast<double>(words_));
      for (Index place = shared; place < words_; ++place) {
        pairs[similarity].emplace_back(static_cast<int>(order[static_cast<std::size_t>(place)]),
                                       static_cast<int>(vocabulary++));
      }
    }
    Pairs unknown;
    for (Index word = 0; word < words_; ++word) {
      unknown.emplace_back(static_cast<int>(word), static_cast<int>(vocabulary++));
    }
    vocabulary_ = vocabulary;

    translations_.emplace(1.0, Translate::swapping(vocabulary, {}));
    for (const auto& [similarity, swapped] : pairs) {
      translations_.emplace(similarity, Translate::swapping(vocabulary, swapped));
    }
    distant_ = pairs.at(settings.most_distant());
    unknown_ = Translate::swapping(vocabulary, unknown);

    permutation_ = renaming(random_dictionary(words_, root.fold("permutation of words")));
  }

  /// Tokens in all: the vocabulary of a model.
  [[nodiscard]] Index vocabulary() const { return vocabulary_; }
  [[nodiscard]] bool is_of_language_1(int token) const { return token < static_cast<int>(words_); }

  /// From language 1 to the language of this similarity; 1 is language 1 itself. \throws ConfigurationError if there is
  /// none
  [[nodiscard]] const Translate& to(double similarity) const {
    const auto found = translations_.find(similarity);
    require(found != translations_.end(), "Languages: none has a similarity of ", similarity);
    return found->second;
  }
  /// By a translator who knows this share of the words of the most distant language, and leaves the others as they are.
  [[nodiscard]] Translate partly_to_distant(double share) const {
    const auto number = static_cast<std::ptrdiff_t>(share * static_cast<double>(words_));
    return Translate::swapping(vocabulary_, Pairs(distant_.begin(), distant_.begin() + number));
  }
  /// To the language that nobody learns.
  [[nodiscard]] const Translate& to_unknown() const { return unknown_; }
  /// From language 1 to language 1 by a random permutation of its words.
  [[nodiscard]] const Translate& permutation() const { return permutation_; }
  /// From language 1 to language 1 by a permutation of its words.
  [[nodiscard]] Translate renaming(const std::vector<int>& words) const {
    std::vector<int> image = to(1.0).image();
    std::copy(words.begin(), words.end(), image.begin());
    return Translate(std::move(image));
  }

  /// A map to any of the languages that are learned, language 1 included.
  [[nodiscard]] SayInAnyOf any() const {
    std::vector<Translate> all;
    for (const auto& [similarity, translation] : translations_) {
      all.push_back(translation);
    }
    return SayInAnyOf(std::move(all));
  }

 private:
  using Pairs = std::vector<std::pair<int, int>>;

  Index words_ = 0;
  Index vocabulary_ = 0;
  std::map<double, Translate> translations_;
  Pairs distant_;  // in random order: the first are those that a partial translator knows
  Translate unknown_{std::vector<int>{}};
  Translate permutation_{std::vector<int>{}};
};

}  // namespace translation
