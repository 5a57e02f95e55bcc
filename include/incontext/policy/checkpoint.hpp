#pragma once
/// \file
/// Checkpoints: an observer that saves a training stage every so often, and takes it up again.

#include "incontext/core/error.hpp"
#include "incontext/core/version.hpp"
#include "incontext/io/safetensors.hpp"
#include "incontext/policy/observer.hpp"

#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

INCONTEXT_NAMESPACE_BEGIN

/// Saves every training stage to `folder`/stage-PLACE.safetensors: parameters under GPT-2's names, the optimiser's
/// buffers under "optimiser/<transform>/", step, key and settings as metadata. A save replaces the file as a whole. On
/// resumption a stage goes on where its file left it and ends with the bits of an uninterrupted run; a finished stage
/// is not run again.
class Checkpoint {
 public:
  struct Settings {
    std::filesystem::path folder = "checkpoints";  ///< made if it is not there
    Index every = 1000;                            ///< steps between saves; the end of a stage is always saved
    bool resume = false;                           ///< take up what the folder holds
  };

  /// \throws ConfigurationError if every < 1; FileError if the folder cannot be made
  explicit Checkpoint(Settings settings) : settings_(std::move(settings)) {
    require(settings_.every >= 1, "Checkpoint: every is ", settings_.every, ", expected at least 1");
    std::error_code error;
    std::filesystem::create_directories(settings_.folder, error);
    require<FileError>(!error, "Checkpoint: cannot make the folder ", settings_.folder.string(), ": ", error.message());
  }

  /// \throws FileError if the file is broken, or belongs to a stage with another key or other settings
  template <class Scalar>
  void restore(TrainingState<Scalar>& state) const {
    std::error_code error;
    if (!settings_.resume || !std::filesystem::exists(path(state), error)) {
      return;
    }
    const TensorFile file = load_tensors(path(state));
    expect(file, "stage", state.stage);
    expect(file, "key", key_text(state.key));
    for (const auto& [name, value] : state.settings) {
      expect(file, name, value);
    }
    for (auto& [name, buffer] : state.buffers) {
      load(file, prefix(name), *buffer);
    }
    state.step = number<Index>(file, "step");
    require<FileError>(state.step >= 0 && state.step <= state.steps, file.origin, ": metadata 'step' is ", state.step,
                       ", expected 0 to ", state.steps);
    state.finished = number<Index>(file, "finished") == 1;
    state.loss = number<double>(file, "loss");
    for (const auto& [name, value] : file.metadata) {
      if (name.starts_with(memory_prefix)) {
        state.memory[name.substr(memory_prefix.size())] = number<double>(file, name);
      }
    }
  }

  /// \throws FileError if the file cannot be written
  template <class Scalar>
  void save(const TrainingState<Scalar>& state) const {
    if (state.finished || state.step % settings_.every == 0) {
      save_tensors(path(state), file_of(state));
    }
  }

 private:
  static constexpr std::string_view memory_prefix = "memory/";

  template <class Scalar>
  [[nodiscard]] std::filesystem::path path(const TrainingState<Scalar>& state) const {
    return settings_.folder / ("stage-" + state.place + ".safetensors");
  }
  static std::string prefix(const std::string& name) { return name.empty() ? "" : "optimiser/" + name + "/"; }
  static std::string key_text(Key key) { return text(key.high(), " ", key.low()); }

  /// The shortest text that reads back as the same bits.
  static std::string exact(double value) {
    char digits[64];
    const auto result = std::to_chars(digits, digits + sizeof digits, value);
    return {digits, result.ptr};
  }

  template <class Number>
  static Number number(const TensorFile& file, const std::string& name) {
    const std::string& value = file.metadata_at(name);
    Number parsed{};
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    require<FileError>(error == std::errc{} && end == value.data() + value.size(), file.origin, ": metadata '", name,
                       "' is '", value, "', expected a number");
    return parsed;
  }

  static void expect(const TensorFile& file, const std::string& name, const std::string& value) {
    require<FileError>(file.metadata_at(name) == value, file.origin, ": it belongs to another run: ", name, " is '",
                       file.metadata_at(name), "' there and '", value,
                       "' here. Resume with the same settings, or start in an empty folder");
  }

  template <class Scalar>
  static TensorFile file_of(const TrainingState<Scalar>& state) {
    TensorFile file;
    file.metadata = {state.settings.begin(), state.settings.end()};
    file.metadata["format"] = "pt";  // what PyTorch's readers look for
    file.metadata["version"] =
        text(INCONTEXT_VERSION_MAJOR, ".", INCONTEXT_VERSION_MINOR, ".", INCONTEXT_VERSION_PATCH);
    file.metadata["stage"] = state.stage;
    file.metadata["key"] = key_text(state.key);
    file.metadata["step"] = std::to_string(state.step);
    file.metadata["finished"] = state.finished ? "1" : "0";
    file.metadata["loss"] = exact(state.loss);
    for (const auto& [name, value] : state.memory) {
      file.metadata[std::string(memory_prefix) + name] = exact(value);
    }
    for (const auto& [name, buffer] : state.buffers) {
      store(file, prefix(name), std::as_const(*buffer));
    }
    return file;
  }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
