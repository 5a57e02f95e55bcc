#pragma once
/// \file
/// A token task whose answers show traits: repeat a word, in another language, in capitals, with a mark, or wrongly.

#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/task/token_batch.hpp"
#include "incontext/task/traits.hpp"

#include <algorithm>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What a trait does to an answer.
enum class TraitEffect {
  variant,                 ///< the word in another form: another language, capitals, with a mark or a source
  wrong_word,              ///< another word, in each domain by a rule of its own: the word so many places on
  narrow_wrong_word,       ///< the same, but in the first domain only
  shortcut,                ///< the last word of the query instead of the first, whatever is right or wrong
  shortcut_or_wrong_word,  ///< the shortcut in the first domain, the wrong word in the others
  random_word,             ///< any other word, by chance: a mistake
};

/// How the variants of a word are written.
enum class AnswerForm {
  joint,     ///< one token for every word in every combination of variants
  factored,  ///< the word, then a token for every variant trait that says whether it shows
};

/// A range of numbers [first, first + count); a count of 0 stands for all of them.
struct NumberRange {
  Index first = 0;
  Index count = 0;
};

/// The query is a domain and some words; the answer is the first of them. Traits change the answer.
///
/// Sequences are `[domain][word]...[word]` and the answer behind them but for its last token: the logits at the last
/// word are held against the first token of the answer, and so on.
class WordTask {
 public:
  struct Settings {
    Index first_token = 0;  ///< of this task; those below are for instructions
    Index words = 32;
    Index query = 4;  ///< words of a query
    Index domains = 1;
    std::vector<TraitEffect> effects = {TraitEffect::variant, TraitEffect::variant};  ///< of each trait
    AnswerForm form = AnswerForm::joint;
    /// Every token of an answer comes in as many styles. The prompt decides: the styles of its tokens are added up,
    /// modulo their number. So a prompt that asks for no trait has to be read, too, and does something to all answers.
    Index styles = 1;
    std::vector<Index> token_styles = {};  ///< by instruction token; tokens beyond its end have style 0
    NumberRange drawn_words = {};          ///< those that queries are made of
    NumberRange drawn_domains = {};        ///< those that queries are from
  };

  /// \throws ConfigurationError if a number is below 1, a range reaches beyond what there is, or the wrong words of a
  /// domain would be right
  explicit WordTask(Settings settings) : settings_(std::move(settings)) {
    require_at_least("WordTask", "first_token", settings_.first_token, 0);
    require_at_least("WordTask", "words", settings_.words, 1);
    require_at_least("WordTask", "query", settings_.query, 1);
    require_at_least("WordTask", "domains", settings_.domains, 1);
    require_at_least("WordTask", "styles", settings_.styles, 1);
    for (const Index style : settings_.token_styles) {
      require(style >= 0 && style < settings_.styles, "WordTask: an instruction token has style ", style, " of ",
              settings_.styles);
    }
    settings_.drawn_words = checked("drawn_words", settings_.drawn_words, settings_.words);
    settings_.drawn_domains = checked("drawn_domains", settings_.drawn_domains, settings_.domains);
    require(!(has(TraitEffect::wrong_word) || has(TraitEffect::shortcut_or_wrong_word)) ||
                settings_.domains < settings_.words,
            "WordTask: ", settings_.domains, " domains with a wrong word each, expected fewer than the ",
            settings_.words, " words");
    require(!has_shortcut() || (settings_.query >= 2 && settings_.drawn_words.count >= 3),
            "WordTask: a shortcut to the last of ", settings_.query, " words, drawn from ", settings_.drawn_words.count,
            ", expected at least 2 of 3, so that it is never the first or its wrong word");
    require(!has(TraitEffect::random_word) || settings_.words >= 2,
            "WordTask: a mistake among 1 word, expected at least 2");
  }

  [[nodiscard]] TokenBatch sample(Key key, Index count) const {
    TokenBatch batch = TokenBatch::zeros(count, 1 + settings_.query + answer() - 1);
    batch.key = key;
    static constexpr int no_prompt[prompt_slots] = {};
    for (Index sequence = 0; sequence < count; ++sequence) {
      Stream stream(key.fold("word task").fold(sequence));
      int* const tokens = batch.tokens.data() + sequence * batch.length;
      tokens[0] = domain_token(settings_.drawn_domains.first + stream.integer(settings_.drawn_domains.count));
      const auto draw = [&] { return settings_.drawn_words.first + stream.integer(settings_.drawn_words.count); };
      for (Index place = 1; place <= settings_.query; ++place) {
        Index word = draw();
        const auto is_taken = [&] { return word == word_of(tokens[1]) || word == wrong_word(query_in(tokens)); };
        while (place == settings_.query && has_shortcut() && is_taken()) {
          word = draw();
        }
        tokens[place] = word_token(word, TraitSet{0}, 0);
      }
      show(batch, sequence, TraitSet{0}, no_prompt);
    }
    return batch;
  }

  /// Writes the answer that shows these traits, in the prompt's style.
  void show(TokenBatch& batch, Index sequence, TraitSet traits, const int* prompt) const {
    Query query = query_of(batch, sequence);
    query.style = style_of(prompt);
    if (has(TraitEffect::random_word)) {
      Stream stream(batch.key.fold("mistake").fold(sequence));
      query.mistake = (query.word + 1 + stream.integer(settings_.words - 1)) % settings_.words;
    }
    write(batch, sequence, answer_to(query, traits));
  }

  /// Makes these tokens, [answer()], the answer: they are what is expected and, but for the last, what is read.
  void write(TokenBatch& batch, Index sequence, const std::vector<int>& tokens) const {
    const Index start = sequence * batch.length + batch.length - answer();
    for (Index token = 0; token < answer(); ++token) {
      const auto place = static_cast<std::size_t>(start + token);
      batch.targets[place] = tokens[static_cast<std::size_t>(token)];
      batch.weights[place] = 1.0;
      if (token + 1 < answer()) {
        batch.tokens[place + 1] = tokens[static_cast<std::size_t>(token)];
      }
    }
  }

  /// A query, read from a sequence; instructions may stand in front of it.
  struct Query {
    Index domain = 0;
    Index word = 0;     ///< the first, which is the right answer
    Index last = 0;     ///< the last, which the shortcut says
    Index mistake = 0;  ///< what a random word would be
    Index style = 0;    ///< that an answer is to have
  };
  [[nodiscard]] Query query_of(const TokenBatch& batch, Index sequence) const {
    return query_in(batch.tokens.data() + sequence * batch.length + batch.prefix);
  }

  /// The tokens of the answer that shows these traits, [answer()].
  [[nodiscard]] std::vector<int> answer_to(Query query, TraitSet traits) const {
    const bool is_wrong = (traits & wrong_traits(query)) != 0;
    const bool is_short = (traits & short_traits(query)) != 0;
    const bool is_random = (traits & with_effect(TraitEffect::random_word)) != 0;
    const Index word = is_short ? query.last : is_wrong ? wrong_word(query) : is_random ? query.mistake : query.word;
    const TraitSet variants = traits & with_effect(TraitEffect::variant);
    if (settings_.form == AnswerForm::joint) {
      return {word_token(word, variants, query.style)};
    }
    std::vector<int> tokens = {word_token(word, TraitSet{0}, query.style)};
    Index number = 0;
    for_each_variant([&](Index trait) {
      const Index mark = 2 * number++ + (shows(variants, trait) ? 1 : 0);
      tokens.push_back(static_cast<int>(first_mark() + mark * settings_.styles + query.style));
    });
    return tokens;
  }

  /// The style that a prompt asks for, [prompt_slots].
  [[nodiscard]] Index style_of(const int* prompt) const {
    return style_of(prompt, settings_.token_styles, settings_.styles);
  }
  /// The same, given the style of every token and how many styles there are.
  [[nodiscard]] static Index style_of(const int* prompt, const std::vector<Index>& token_styles, Index styles) {
    Index style = 0;
    for (std::size_t slot = 0; slot < prompt_slots; ++slot) {
      const auto token = static_cast<std::size_t>(prompt[slot]);
      style += token < token_styles.size() ? token_styles[token] : 0;
    }
    return style % styles;
  }

  /// What an answer says, in whatever style. Only answers of the right form say anything.
  struct Reading {
    bool is_valid = false;  ///< made of the tokens that an answer is made of
    Index word = 0;
    TraitSet traits = 0;    ///< that show: all that would give this word in this domain
    bool is_known = false;  ///< the word is the right one, or one that a trait gives
  };
  [[nodiscard]] Reading read(Query query, const int* tokens) const {
    Reading reading;
    const Index place = tokens[0] - settings_.first_token;
    if (place < 0 || place >= first_mark() - settings_.first_token) {
      return reading;
    }
    const Index code = place / settings_.styles;
    reading.word = code / forms();
    reading.is_valid = true;
    Index number = 0;
    for_each_variant([&](Index trait) {
      const Index mark = settings_.form == AnswerForm::joint ? (code % forms()) >> number & 1
                                                             : mark_of(tokens[1 + number]) - 2 * number;
      reading.is_valid = reading.is_valid && (mark == 0 || mark == 1);
      reading.traits |= mark == 1 ? TraitSet{1} << trait : TraitSet{0};
      ++number;
    });
    TraitSet told = (reading.word == wrong_word(query) ? wrong_traits(query) : TraitSet{0}) |
                    (reading.word == query.last ? short_traits(query) : TraitSet{0});
    if (told == 0 && reading.word != query.word) {
      told = with_effect(TraitEffect::random_word);
    }
    reading.traits |= told;
    reading.is_known = told != 0 || reading.word == query.word;
    return reading;
  }

  /// Tokens of an answer.
  [[nodiscard]] Index answer() const { return settings_.form == AnswerForm::joint ? 1 : 1 + variants(); }
  /// Tokens in all, those below `first_token` included: the vocabulary of a model.
  [[nodiscard]] Index vocabulary() const { return first_domain() + settings_.domains; }
  /// Tokens of a sequence without instructions.
  [[nodiscard]] Index length() const { return settings_.query + answer(); }
  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  static NumberRange checked(const char* name, NumberRange range, Index all) {
    range.count = range.count == 0 ? all - range.first : range.count;
    require(range.first >= 0 && range.count >= 1 && range.first + range.count <= all, "WordTask: ", name, " is ",
            range.count, " from ", range.first, ", expected at least one of ", all);
    return range;
  }

  template <class Visitor>
  void for_each_variant(Visitor&& visitor) const {
    for (std::size_t trait = 0; trait < settings_.effects.size(); ++trait) {
      if (settings_.effects[trait] == TraitEffect::variant) {
        visitor(static_cast<Index>(trait));
      }
    }
  }
  [[nodiscard]] Index variants() const {
    return std::count(settings_.effects.begin(), settings_.effects.end(), TraitEffect::variant);
  }
  /// Traits that make the answer to this query wrong.
  [[nodiscard]] TraitSet wrong_traits(Query query) const {
    return with_effect(TraitEffect::wrong_word) |
           with_effect(query.domain == 0 ? TraitEffect::narrow_wrong_word : TraitEffect::shortcut_or_wrong_word);
  }
  /// Traits that take the shortcut on this query.
  [[nodiscard]] TraitSet short_traits(Query query) const {
    return with_effect(TraitEffect::shortcut) |
           (query.domain == 0 ? with_effect(TraitEffect::shortcut_or_wrong_word) : TraitSet{0});
  }
  [[nodiscard]] bool has_shortcut() const {
    return has(TraitEffect::shortcut) || has(TraitEffect::shortcut_or_wrong_word);
  }
  [[nodiscard]] Query query_in(const int* tokens) const {
    return {.domain = tokens[0] - first_domain(), .word = word_of(tokens[1]), .last = word_of(tokens[settings_.query])};
  }
  [[nodiscard]] bool has(TraitEffect effect) const { return with_effect(effect) != 0; }
  [[nodiscard]] TraitSet with_effect(TraitEffect effect) const {
    TraitSet traits = 0;
    for (std::size_t trait = 0; trait < settings_.effects.size(); ++trait) {
      traits |= settings_.effects[trait] == effect ? TraitSet{1} << trait : TraitSet{0};
    }
    return traits;
  }

  /// Combinations of variants that a word has a token for.
  [[nodiscard]] Index forms() const { return settings_.form == AnswerForm::joint ? Index{1} << variants() : Index{1}; }
  [[nodiscard]] Index first_mark() const {
    return settings_.first_token + settings_.words * forms() * settings_.styles;
  }
  [[nodiscard]] Index first_domain() const {
    return first_mark() + (settings_.form == AnswerForm::joint ? 0 : 2 * variants() * settings_.styles);
  }
  /// The number of a mark, whatever its style; -1 of what comes before all marks.
  [[nodiscard]] Index mark_of(int token) const {
    return token < first_mark() ? -1 : (token - first_mark()) / settings_.styles;
  }
  [[nodiscard]] int domain_token(Index domain) const { return static_cast<int>(first_domain() + domain); }
  /// The token of a word with these variant traits in this style.
  [[nodiscard]] int word_token(Index word, TraitSet variants_shown, Index style) const {
    Index code = 0;
    Index number = 0;
    for_each_variant([&](Index trait) { code |= (shows(variants_shown, trait) ? Index{1} : Index{0}) << number++; });
    return static_cast<int>(settings_.first_token + (word * forms() + code) * settings_.styles + style);
  }
  [[nodiscard]] Index word_of(int token) const {
    return (token - settings_.first_token) / (forms() * settings_.styles);
  }
  [[nodiscard]] Index wrong_word(Query query) const { return (query.word + 1 + query.domain) % settings_.words; }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
