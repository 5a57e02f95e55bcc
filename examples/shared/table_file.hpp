#pragma once
/// Reads the small tables that a study keeps beside its records.

#include <incontext/core/error.hpp>
#include <incontext/report/csv.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace studies {

/// The rows of a CSV file without its header. \throws FileError if it cannot be read, or a row has not `fields` fields
inline std::vector<incontext::CsvRow> read_table(const std::filesystem::path& path, std::size_t fields) {
  using incontext::FileError;
  std::ifstream stream(path, std::ios::binary);
  incontext::require<FileError>(stream.good(), "cannot read '", path.string(), "'");
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  std::vector<incontext::CsvRow> rows = incontext::parse_csv(content, path.string());
  if (!rows.empty()) {
    rows.erase(rows.begin());
  }
  for (const incontext::CsvRow& row : rows) {
    incontext::require<FileError>(row.fields.size() == fields, path.string(), ":", row.line, ": ", row.fields.size(),
                                  " fields, expected ", fields);
  }
  return rows;
}

}  // namespace studies
