#pragma once
/// \file
/// A token task with two sources of the answer: the exemplars of the prompt, or a dictionary known by heart.

#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/task/token_batch.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Where the right answer to a query stands.
enum class AnswerSource {
  exemplars,   ///< in the prompt: in-context learning
  dictionary,  ///< in the weights, since it is the same in every prompt: in-weights learning
};

/// A uniformly drawn permutation of 0, ..., words - 1: an answer to every word. \throws ConfigurationError if words < 0
[[nodiscard]] inline std::vector<int> random_dictionary(Index words, Key key) {
  require_at_least("random_dictionary", "words", words, 0);
  Stream stream(key.fold("dictionary"));
  const auto order = stream.permutation(words);
  return {order.begin(), order.end()};
}

/// Sequences `[x_1][y_1]...[x_k][y_k][x]`, answered by one word: exemplars of different words x_i, each with an answer
/// y_i that is any word but the dictionary's, and a query x. Where the query is one of the x_i there are two answers,
/// the y_i beside it and the dictionary's, and they differ; where it is not, only the dictionary has one. In-context
/// against in-weights learning, after Chan et al. 2022 ("Data distributional properties drive emergent in-context
/// learning in transformers"); in-context learning against instruction following in Kotha et al. 2024, section 4.
class WordPairs {
 public:
  struct Settings {
    std::vector<int> dictionary;  ///< [words]: the answer to every word, a permutation
    Index exemplars = 4;
    AnswerSource source = AnswerSource::exemplars;
    double conflict = 1.0;  ///< probability that the query is a word of the exemplars; 1 if they are the source
  };

  /// \throws ConfigurationError if the dictionary is no permutation of at least 2 words, or there are too few words for
  /// the exemplars and another query, or conflict is no probability, or not 1 where the exemplars are the source
  explicit WordPairs(Settings settings) : settings_(std::move(settings)) {
    const Index words = vocabulary();
    std::vector<int> sorted = settings_.dictionary;
    std::sort(sorted.begin(), sorted.end());
    for (Index word = 0; word < words; ++word) {
      require(sorted[static_cast<std::size_t>(word)] == static_cast<int>(word),
              "WordPairs: the dictionary is no permutation of its ", words, " words");
    }
    require_at_least("WordPairs", "words", words, 2);
    require_at_least("WordPairs", "exemplars", settings_.exemplars, 1);
    require(settings_.conflict >= 0.0 && settings_.conflict <= 1.0, "WordPairs: conflict is ", settings_.conflict,
            ", expected a probability from 0 to 1");
    require(settings_.source == AnswerSource::dictionary || settings_.conflict == 1.0, "WordPairs: conflict is ",
            settings_.conflict, ", expected 1: exemplars without the query cannot answer it");
    const Index needed = settings_.exemplars + (settings_.conflict < 1.0 ? 1 : 0);
    require(words >= needed, "WordPairs: ", words, " words, expected at least ", needed, " for ", settings_.exemplars,
            " exemplars", settings_.conflict < 1.0 ? " and another query" : "");
  }

  [[nodiscard]] TokenBatch sample(Key key, Index count) const {
    TokenBatch batch = TokenBatch::zeros(count, length());
    batch.key = key;
    for (Index sequence = 0; sequence < count; ++sequence) {
      Stream stream(key.fold("word pairs").fold(sequence));
      const auto order = stream.permutation(vocabulary());
      int* const tokens = batch.tokens.data() + sequence * length();
      for (Index exemplar = 0; exemplar < settings_.exemplars; ++exemplar) {
        const auto word = static_cast<int>(order[static_cast<std::size_t>(exemplar)]);
        const auto drawn = static_cast<int>(stream.integer(vocabulary() - 1));
        tokens[2 * exemplar] = word;
        tokens[2 * exemplar + 1] = drawn + (drawn >= known(word) ? 1 : 0);  // any word but the dictionary's
      }
      // Both are drawn in any case, so that the exemplars are the same whatever the source and the conflict.
      const bool is_among_exemplars = stream.uniform() < settings_.conflict;
      const Index asked = stream.integer(settings_.exemplars);
      const int query = is_among_exemplars ? tokens[2 * asked]
                                           : static_cast<int>(order[static_cast<std::size_t>(settings_.exemplars)]);
      const Index last = length() - 1;
      const auto place = static_cast<std::size_t>(sequence * length() + last);
      tokens[last] = query;
      batch.targets[place] = settings_.source == AnswerSource::exemplars ? tokens[2 * asked + 1] : known(query);
      batch.weights[place] = 1.0;
    }
    return batch;
  }

  /// The dictionary's answer to a word. \throws ConfigurationError if it has no such word
  [[nodiscard]] int answer_by_dictionary(int word) const {
    require(word >= 0 && word < static_cast<int>(vocabulary()), "WordPairs: word ", word, " of a dictionary of ",
            vocabulary());
    return known(word);
  }

  /// Words, which are the tokens 0, ..., vocabulary() - 1.
  [[nodiscard]] Index vocabulary() const { return static_cast<Index>(settings_.dictionary.size()); }
  /// Tokens of a sequence without instructions; the answer follows the last.
  [[nodiscard]] Index length() const { return 2 * settings_.exemplars + 1; }
  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  [[nodiscard]] int known(int word) const { return settings_.dictionary[static_cast<std::size_t>(word)]; }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
