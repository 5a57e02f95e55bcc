#pragma once
/// What the study leaves for people: a report in Markdown, and figures.

#include "options.hpp"
#include "table.hpp"

#include <string>
#include <vector>

namespace inoculation {

/// Writes the report and the figures. Returns what to print last: the path of the main figure, or why there is none.
std::string write_report(const Options& options, const std::vector<Row>& rows, const std::string& command);

}  // namespace inoculation
