#pragma once
/// Options that the commands of several studies have in common.

#include <incontext/core/error.hpp>

#include <CLI/CLI.hpp>

#include <vector>

namespace studies {

/// Every option shows its default, and the last of several wins.
inline void set_defaults(CLI::App& app) {
  app.option_defaults()->always_capture_default()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

/// An option of several values with commas between them.
template <class Value>
CLI::Option* add_list_option(CLI::App& app, const char* flag, std::vector<Value>& values, const char* help) {
  return app.add_option(flag, values, help)->delimiter(',')->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

template <class Settings>
void add_model_options(CLI::App& app, Settings& settings, const char* group) {
  app.add_option("--width", settings.width, "size of the residual stream")->group(group);
  app.add_option("--layers", settings.layers, "blocks")->group(group);
  app.add_option("--heads", settings.heads, "attention heads of a block")->group(group);
}

template <class Settings>
void add_precision_option(CLI::App& app, Settings& settings, const char* group) {
  app.add_option("--precision", settings.precision, "of the matrix products: fp32, bf16 or bf16x3")->group(group);
}

/// \param seeds  what the help says of --seeds
template <class Settings>
void add_run_options(CLI::App& app, Settings& settings, const char* group, const char* seeds) {
  app.add_option("--seeds", settings.seeds, seeds)->group(group);
  app.add_option("--first-seed", settings.first_seed, "the first of the seeds")->group(group);
  app.add_option("--threads", settings.threads, "worker threads; they never change a result")->group(group);
  app.add_option("--output", settings.output, "folder for tables, figures and checkpoints")->group(group);
  app.add_flag("--resume", settings.resume, "go on from the checkpoints in the output folder")->group(group);
  app.add_flag("--summarise", settings.summarise, "only rewrite summary and figures from the tables")->group(group);
  app.add_option("--checkpoint-every", settings.checkpoint_every, "steps between checkpoints")->group(group);
}

/// Reads the command line; false if it asked for help, which is printed.
/// \throws ConfigurationError if it cannot be read
[[nodiscard]] inline bool read_options(CLI::App& app, int count, char** arguments) {
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help);
    return false;
  } catch (const CLI::ParseError& error) {
    incontext::raise<incontext::ConfigurationError>(incontext::text(error.what(), " (see --help)"));
  }
  return true;
}

}  // namespace studies
