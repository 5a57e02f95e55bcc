#pragma once
/// What the study leaves for people: tables as CSV, a summary in Markdown, figures.

#include "settings.hpp"
#include "study.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace translation {

/// The forgetting by shared words that an earlier run wrote. \throws FileError if it cannot be read
std::vector<SharedWords> read_shared_words(const std::filesystem::path& path);

/// Writes tables, summary and figures. Returns what to print last: the path of the main figure, or why there is none.
std::string write_report(const Settings& settings, const Results& results, const std::string& command);

/// The claims, short, on the terminal.
void print_claims(const Settings& settings, const std::vector<Measurement>& measurements);

}  // namespace translation
