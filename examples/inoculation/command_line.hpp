#pragma once
/// The command line of the study.

#include "options.hpp"

#include <optional>

namespace inoculation {

/// Reads the command line over the preset that it names; nothing if it asked for help.
/// \throws ConfigurationError if it makes no sense
std::optional<Options> parse(int count, char** arguments);

}  // namespace inoculation
