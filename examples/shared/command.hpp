#pragma once
/// What the commands of all studies share: the output folder, and the command as it was typed.

#include <incontext/core/error.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace studies {

/// Makes the output folder and sees that it can be written to, before any work is done.
inline void check_output(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  incontext::require<incontext::FileError>(
      !error && std::filesystem::is_directory(folder, error), "--output is '", folder.string(),
      "', expected a folder that can be made: ", error ? error.message() : std::string("there is a file of that name"));
  const std::filesystem::path probe = folder / "writable.part";
  std::ofstream stream(probe);
  stream << "probe";
  stream.close();
  incontext::require<incontext::FileError>(!stream.fail(), "--output is '", folder.string(),
                                           "', expected a folder that can be written to");
  std::filesystem::remove(probe, error);
}

/// The command as it was typed, without what never changes a number: the program's path, threads, folders, resumption.
inline std::string command_line(const std::string& program, int count, char** arguments) {
  std::string command = program;
  for (int index = 1; index < count; ++index) {
    const std::string argument = arguments[index];
    const bool has_value = argument == "--threads" || argument == "--output" || argument == "--checkpoint-every" ||
                           argument == "--shard" || argument == "--merge";
    if (has_value) {
      ++index;
    } else if (argument != "--resume" && argument != "--summarise") {
      command += " " + argument;
    }
  }
  return command;
}

/// The preset that a command names, or `fallback`: it decides the defaults of all other options, so it is looked up
/// before they are read.
inline std::string preset_named(int count, char** arguments, const std::string& fallback) {
  std::string name = fallback;
  for (int index = 1; index < count; ++index) {
    const std::string argument = arguments[index];
    if (argument == "--preset" && index + 1 < count) {
      name = arguments[index + 1];
    } else if (argument.starts_with("--preset=")) {
      name = argument.substr(9);
    }
  }
  return name;
}

/// Runs a command: what goes wrong is told in one line, and makes the exit code 2.
template <class Command>
int run_command(const char* program, const Command& command) {
  try {
    return command();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 2;
  }
}

}  // namespace studies
