#pragma once
/// The settings of the forgetting study: presets, command line, and what is refused before any work.

#include <incontext/nn/transformer.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace forgetting {

using incontext::Index;

/// Everything that the study depends on. The initial values are those of the demo preset.
struct Settings {
  std::string preset = "demo";
  // The prompts.
  Index dimension = 4;
  Index exemplars = 5;  ///< most exemplars in front of a query
  Index pool = 5;       ///< tasks of D_disc
  double noise = 1.0;
  std::vector<double> alphas = {0.5};  ///< weights of D_disc in the pretraining mixtures
  bool pure = true;                    ///< also train on D_cont only and on D_disc only
  // The model.
  Index width = 64;
  Index layers = 3;
  Index heads = 2;
  double initial_scale = 0.1;
  std::string precision = "fp32";  ///< of the matrix products
  // Pretraining.
  Index steps = 20'000;
  Index pure_steps = 6000;  ///< for the models of one distribution
  Index batch = 64;
  double learning_rate = 1e-3;
  Index warmup = 300;
  std::string schedule = "cosine";
  Index curriculum_dimension = 0;  ///< dimensions at the start; 0 for no curriculum
  Index curriculum_points = 0;     ///< points at the start; 0 for no curriculum
  Index curriculum_interval = 2000;
  // Fine-tuning.
  Index fine_tune_steps = 400;
  double fine_tune_rate = 1e-4;
  // Evaluation.
  std::vector<double> gammas = {1.5, 2.0, 3.0};
  Index prompts = 2048;
  Index evaluate_every = 0;        ///< steps of pretraining between evaluations of how far it has come; 0 for none
  Index likelihood_exemplars = 3;  ///< after which forgetting is held against the likelihood of the prompt
  // The run.
  Index seeds = 1;
  std::uint64_t first_seed = 0;
  Index threads = 2;
  std::filesystem::path output = "results/demo";
  bool resume = false;
  bool summarise = false;  ///< only rewrite summary and figures from the CSVs in the output folder
  Index checkpoint_every = 2000;

  [[nodiscard]] Index points() const { return exemplars + 1; }

  [[nodiscard]] incontext::TransformerSettings model() const {
    return {.dimension = dimension,
            .points = points(),
            .layers = layers,
            .heads = heads,
            .width = width,
            .initial_scale = initial_scale,
            .precision = incontext::precision_named(precision)};
  }
};

/// Reads the command line over the preset that it names. None if help was asked for, which is then printed.
/// \throws ConfigurationError for a flag that does not exist, or a value that makes no sense
std::optional<Settings> parse(int count, char** arguments);

}  // namespace forgetting
