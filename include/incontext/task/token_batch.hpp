#pragma once
/// \file
/// A batch of token sequences with targets, for models over a vocabulary: the medium of language models, in small.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/core/matrix.hpp"

#include <algorithm>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What a model says to token sequences: their answers, free-running, and what it expects of the first token.
struct TokenPredictions {
  Index count = 0;                      ///< number of sequences
  Index answer = 0;                     ///< tokens of an answer
  std::vector<int> tokens;              ///< [count * answer]: drawn one after the other, each read before the next
  RowMatrix<double> log_probabilities;  ///< [count, vocabulary]: of the first token of the answer, in nats

  bool operator==(const TokenPredictions&) const = default;
};

/// `count` sequences of `length` tokens. Where `weights` is not zero, the logits at a token are held against its
/// target, which is the token that follows. Sequences may begin with instruction tokens.
struct TokenBatch {
  using predictions_type = TokenPredictions;

  Index count = 0;
  Index length = 0;
  std::vector<int> tokens;      ///< [count * length]
  std::vector<int> targets;     ///< [count * length]
  std::vector<double> weights;  ///< [count * length]: the mask, or any weighting; empty means all ones
  Index prefix = 0;             ///< number of instruction tokens that every sequence begins with
  /// The stream that the batch was drawn from, for maps that choose at random: they fold their own name into it.
  Key key = {};

  /// Sequences of zeros, nothing predicted yet.
  [[nodiscard]] static TokenBatch zeros(Index sequences, Index tokens_each) {
    const auto size = static_cast<std::size_t>(sequences * tokens_each);
    return {.count = sequences,
            .length = tokens_each,
            .tokens = std::vector<int>(size),
            .targets = std::vector<int>(size),
            .weights = std::vector<double>(size)};
  }
  /// A batch of another count with the shape of this one.
  [[nodiscard]] TokenBatch resized(Index sequences) const {
    TokenBatch batch = zeros(sequences, length);
    batch.prefix = prefix;
    batch.key = key;
    return batch;
  }

  [[nodiscard]] double weight(Index position) const {
    return weights.empty() ? 1.0 : weights[static_cast<std::size_t>(position)];
  }

  /// Where the answer starts: the first position whose logits are held against a target, the same in all sequences.
  /// \throws ShapeError if sequences differ, or nothing is predicted
  [[nodiscard]] Index answer_start() const {
    const auto start_of = [&](Index sequence) {
      Index position = 0;
      while (position < length && weight(sequence * length + position) == 0.0) {
        ++position;
      }
      return position;
    };
    const Index start = count == 0 ? 0 : start_of(0);
    require<ShapeError>(count == 0 || start < length, "TokenBatch: no token is predicted; its weights are all zero");
    for (Index sequence = 1; sequence < count; ++sequence) {
      require<ShapeError>(start_of(sequence) == start, "TokenBatch: the answer of sequence ", sequence, " starts at ",
                          start_of(sequence), ", that of sequence 0 at ", start, "; expected one place for all");
    }
    return start;
  }

  /// The instruction tokens of one sequence, [prefix].
  [[nodiscard]] const int* instruction(Index sequence) const { return tokens.data() + sequence * length; }
  [[nodiscard]] int* instruction(Index sequence) { return tokens.data() + sequence * length; }

  /// Puts `number` tokens in front of every sequence, given as [count * number]. Nothing is predicted of them.
  /// \throws ShapeError if there are not as many
  void put_in_front(const std::vector<int>& instructions, Index number) {
    require<ShapeError>(static_cast<Index>(instructions.size()) == count * number, "TokenBatch: ", instructions.size(),
                        " instruction tokens for ", count, " sequences, expected ", number, " each");
    TokenBatch longer = zeros(count, length + number);
    for (Index sequence = 0; sequence < count; ++sequence) {
      const Index to = sequence * longer.length;
      std::copy_n(instructions.begin() + sequence * number, number, longer.tokens.begin() + to);
      copy_positions(*this, sequence * length, length, longer, to + number);
    }
    longer.prefix = prefix + number;
    longer.key = key;
    *this = std::move(longer);
  }

  /// Takes the first `number` instruction tokens away again. \throws ShapeError if there are not as many
  void drop_front(Index number) {
    require<ShapeError>(number >= 0 && number <= prefix, "TokenBatch: ", number, " of ", prefix, " instruction tokens");
    TokenBatch shorter = zeros(count, length - number);
    for (Index sequence = 0; sequence < count; ++sequence) {
      copy_positions(*this, sequence * length + number, shorter.length, shorter, sequence * shorter.length);
    }
    shorter.prefix = prefix - number;
    shorter.key = key;
    *this = std::move(shorter);
  }

  /// The sequences [first, first + number). \throws ShapeError if the range reaches beyond the batch
  [[nodiscard]] TokenBatch slice(Index first, Index number) const {
    require<ShapeError>(first >= 0 && number >= 0 && first + number <= count, "TokenBatch::slice: sequences [", first,
                        ", ", first + number, ") of ", count);
    TokenBatch part = resized(number);
    copy_positions(*this, first * length, number * length, part, 0);
    return part;
  }

  /// Puts sequence `from` of `other` in the place of sequence `sequence`. Both batches have one shape but for their
  /// counts.
  void replace(Index sequence, const TokenBatch& other, Index from) {
    copy_positions(other, from * length, length, *this, sequence * length);
  }

  /// Whether sequences of both could stand in one batch. \throws ShapeError if not
  void check_mixable(const TokenBatch& other) const {
    require<ShapeError>(length == other.length && prefix == other.prefix, "sequences of ", length, " tokens, ", prefix,
                        " of them instructions, cannot be mixed with sequences of ", other.length, " tokens, ",
                        other.prefix, " of them instructions");
  }

  /// Shows all its numbers, for a fingerprint: `visitor(pointer, count)`.
  template <class Visitor>
  void visit_numbers(Visitor&& visitor) const {
    visitor(tokens.data(), static_cast<Index>(tokens.size()));
    visitor(targets.data(), static_cast<Index>(targets.size()));
    visitor(weights.data(), static_cast<Index>(weights.size()));
  }

  bool operator==(const TokenBatch&) const = default;

 private:
  static void copy_positions(const TokenBatch& from, Index first, Index number, TokenBatch& to, Index target) {
    std::copy_n(from.tokens.begin() + first, number, to.tokens.begin() + target);
    std::copy_n(from.targets.begin() + first, number, to.targets.begin() + target);
    for (Index position = 0; position < number; ++position) {
      to.weights[static_cast<std::size_t>(target + position)] = from.weight(first + position);
    }
  }
};

INCONTEXT_NAMESPACE_END
