#pragma once
/// The settings of the translation study: presets, command line, and what is refused before any work.

#include <incontext/nn/transformer.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace translation {

using incontext::Index;

/// Everything that the study depends on. The initial values are those of the demo preset.
struct Settings {
  std::string preset = "demo";
  // The languages and the prompts.
  Index words = 16;                                         ///< of every language
  std::vector<double> similarities = {0, 0.25, 0.5, 0.75};  ///< shares of words in common with language 1, rising
  Index exemplars = 4;                                      ///< of every prompt
  double dictionary_weight = 0.5;                           ///< of the dictionary skill in pretraining
  double conflict = 0.1;  ///< share of the dictionary's prompts whose exemplars have another answer to the query
  // The model.
  Index width = 64;
  Index layers = 3;
  Index heads = 2;
  double initial_scale = 0.1;
  // Pretraining.
  Index steps = 6000;
  Index batch = 64;
  double learning_rate = 1e-3;
  Index warmup = 300;
  // Fine-tuning.
  Index fine_tune_steps = 100;
  double fine_tune_rate = 5e-5;
  // Evaluation.
  Index prompts = 2048;
  // The run.
  Index seeds = 1;
  std::uint64_t first_seed = 0;
  Index threads = 2;
  std::filesystem::path output = "results/translation/demo";
  bool resume = false;
  bool summarise = false;  ///< only rewrite summary and figures from the tables in the output folder
  Index checkpoint_every = 1000;

  /// Tokens of a prompt.
  [[nodiscard]] Index length() const { return 2 * exemplars + 1; }
  /// The similarities of languages that share some of their words with language 1, but not all.
  [[nodiscard]] std::vector<double> partly_similar() const {
    std::vector<double> partly = similarities;
    std::erase(partly, 0.0);
    return partly;
  }
  /// The language that has no word in common with language 1.
  [[nodiscard]] double most_distant() const { return similarities.front(); }

  [[nodiscard]] incontext::TransformerSettings model(Index vocabulary) const {
    return {.dimension = 0,
            .points = 1,
            .layers = layers,
            .heads = heads,
            .width = width,
            .vocabulary = vocabulary,
            .outputs = vocabulary,
            .positions = length(),
            .initial_scale = initial_scale};
  }
};

/// Reads the command line over the preset that it names; nothing if it asked for help.
/// \throws ConfigurationError if it makes no sense
std::optional<Settings> parse(int count, char** arguments);

}  // namespace translation
