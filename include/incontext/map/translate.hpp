#pragma once
/// \file
/// Another language with the same meaning: a bijection of the vocabulary.

#include "incontext/core/error.hpp"
#include "incontext/map/map.hpp"

#include <string>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Replaces every token by its image under a bijection: a translation word by word. As the map of a `ConjugatePrompt`
/// it is conjugate prompting of a language model (Kotha et al. 2024, section 4): translate, predict, translate back.
class Translate {
 public:
  /// \param image the token that stands for each token, a permutation of 0, ..., vocabulary - 1
  /// \throws ConfigurationError if it is none
  explicit Translate(std::vector<int> image) : image_(std::move(image)), original_(image_.size(), -1) {
    for (std::size_t token = 0; token < image_.size(); ++token) {
      const int to = image_[token];
      require(to >= 0 && to < static_cast<int>(image_.size()), "Translate: token ", token, " becomes ", to,
              ", expected 0 to ", image_.size() - 1);
      int& from = original_[static_cast<std::size_t>(to)];
      require(from < 0, "Translate: tokens ", from, " and ", token, " both become ", to, ", expected a bijection");
      from = static_cast<int>(token);
    }
  }

  /// The bijection that swaps `first` and `second` in every pair and leaves the rest.
  /// \throws ConfigurationError if a token is outside the vocabulary, or in two pairs
  [[nodiscard]] static Translate swapping(Index vocabulary, const std::vector<std::pair<int, int>>& pairs) {
    std::vector<int> image(static_cast<std::size_t>(vocabulary));
    for (std::size_t token = 0; token < image.size(); ++token) {
      image[token] = static_cast<int>(token);
    }
    for (const auto& [first, second] : pairs) {
      for (const int token : {first, second}) {
        require(token >= 0 && token < vocabulary, "Translate: token ", token, " of a vocabulary of ", vocabulary);
        require(image[static_cast<std::size_t>(token)] == token, "Translate: token ", token, " is in two pairs");
      }
      std::swap(image[static_cast<std::size_t>(first)], image[static_cast<std::size_t>(second)]);
    }
    return Translate(std::move(image));
  }

  /// \throws ShapeError if a token is outside the vocabulary
  [[nodiscard]] TokenBatch apply(TokenBatch batch) const { return renamed(std::move(batch), image_); }
  /// \throws ShapeError if a token is outside the vocabulary
  [[nodiscard]] TokenBatch invert(TokenBatch batch) const { return renamed(std::move(batch), original_); }

  /// Answers in the original language: their tokens are translated back, and what a token is expected with is what its
  /// translation was. \throws ShapeError if the predictions are about another vocabulary
  [[nodiscard]] TokenPredictions invert_predictions(TokenPredictions predictions, const TokenBatch&) const {
    require<ShapeError>(predictions.log_probabilities.cols() == static_cast<Index>(image_.size()),
                        "Translate: predictions over ", predictions.log_probabilities.cols(),
                        " tokens, expected a vocabulary of ", image_.size());
    rename(predictions.tokens, original_);
    const RowMatrix<double> translated = predictions.log_probabilities;
    for (Index sequence = 0; sequence < translated.rows(); ++sequence) {
      for (std::size_t token = 0; token < image_.size(); ++token) {
        predictions.log_probabilities(sequence, static_cast<Index>(token)) = translated(sequence, image_[token]);
      }
    }
    return predictions;
  }

  [[nodiscard]] const std::vector<int>& image() const { return image_; }

 private:
  static TokenBatch renamed(TokenBatch batch, const std::vector<int>& names) {
    rename(batch.tokens, names);
    rename(batch.targets, names);
    return batch;
  }
  static void rename(std::vector<int>& tokens, const std::vector<int>& names) {
    for (int& token : tokens) {
      require<ShapeError>(token >= 0 && token < static_cast<int>(names.size()), "Translate: token ", token,
                          " is outside the vocabulary of ", names.size());
      token = names[static_cast<std::size_t>(token)];
    }
  }

  std::vector<int> image_;
  std::vector<int> original_;
};

INCONTEXT_NAMESPACE_END
