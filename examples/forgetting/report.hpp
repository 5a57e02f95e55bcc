#pragma once
/// What the study leaves for people: tables as CSV, a summary in Markdown, figures.

#include "results.hpp"
#include "settings.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace forgetting {

/// The points of claim 5 that an earlier run wrote. \throws FileError if they cannot be read
std::vector<LikelihoodPoint> read_likelihoods(const std::filesystem::path& path);

/// Writes tables, summary and figures. Returns what to print last: the path of the main figure, or why there is none.
std::string write_report(const Settings& settings, const Results& results, const std::string& command);

/// The claims, short, on the terminal.
void print_claims(const Settings& settings, const std::vector<Record>& records);

}  // namespace forgetting
