#pragma once
/// \file
/// Comma-separated values: records to a file and back, and rows of any columns as a run goes along.
///
/// Fields are quoted as RFC 4180 says; lines end with a line feed. Doubles are written as the shortest text that reads
/// back as the same bits.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/report/number.hpp"
#include "incontext/report/record.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <istream>
#include <iterator>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A field as it stands in the file: in quotes, with inner quotes doubled, if it holds a comma, a quote or a line end.
[[nodiscard]] inline std::string csv_field(std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(field);
  }
  std::string quoted = "\"";
  for (const char letter : field) {
    quoted += letter;
    if (letter == '"') {
      quoted += '"';
    }
  }
  return quoted + '"';
}

/// Writes a header and then row after row to a stream that somebody else owns: a training curve, say. Every row is
/// flushed, so that a run that is stopped leaves whole rows.
class CsvWriter {
 public:
  /// Writes the header. The stream has to outlive the writer. \throws ConfigurationError if there are no columns;
  /// FileError if the stream fails
  CsvWriter(std::ostream& stream, const std::vector<std::string>& columns)
      : stream_(&stream), column_count_(columns.size()) {
    require(!columns.empty(), "CsvWriter: there are no columns, expected at least one");
    std::string line;
    for (const std::string& column : columns) {
      line += csv_field(column) + ',';
    }
    line.pop_back();
    write(line);
  }

  /// Writes one row of texts and numbers in the order of the columns. \throws ShapeError if the number of cells is not
  /// that of the columns; FileError if the stream fails
  template <class... Cells>
  void row(const Cells&... cells) {
    require<ShapeError>(sizeof...(cells) == column_count_, "CsvWriter::row: ", sizeof...(cells), " cells, expected ",
                        column_count_, ", one for each column");
    std::string line;
    ((line += cell_text(cells) + ','), ...);
    line.pop_back();
    write(line);
  }

 private:
  template <class Cell>
  static std::string cell_text(const Cell& cell) {
    if constexpr (std::is_integral_v<Cell>) {
      return std::to_string(cell);
    } else if constexpr (std::is_floating_point_v<Cell>) {
      return shortest_text(static_cast<double>(cell));
    } else {
      return csv_field(cell);
    }
  }
  void write(const std::string& line) {
    *stream_ << line << '\n';
    stream_->flush();
    require<FileError>(stream_->good(), "CsvWriter: the stream failed while writing the row '", line, "'");
  }

  std::ostream* stream_;
  std::size_t column_count_;
};

/// One row of a CSV file, and the line that it starts on, counted from 1.
struct CsvRow {
  Index line = 0;
  std::vector<std::string> fields{};
};

/// Splits CSV text in rows and fields. `source` is the name that errors give: they read "source:line: what is wrong".
/// \throws FileError if quotes are not those of RFC 4180
[[nodiscard]] inline std::vector<CsvRow> parse_csv(std::string_view content, std::string_view source) {
  std::vector<CsvRow> rows;
  Index line = 1;
  std::size_t position = 0;
  while (position < content.size()) {
    CsvRow row{line, {}};
    for (bool row_ends = false; !row_ends;) {
      std::string field;
      if (position < content.size() && content[position] == '"') {
        const Index opening_line = line;
        for (++position;; ++position) {
          require<FileError>(position < content.size(), source, ":", opening_line, ": a quoted field is never closed");
          if (content[position] == '"') {
            if (position + 1 == content.size() || content[position + 1] != '"') {
              ++position;
              break;
            }
            ++position;  // two quotes stand for one
          }
          line += content[position] == '\n' ? 1 : 0;
          field += content[position];
        }
      } else {
        const std::size_t end = (std::min)(content.find_first_of(",\"\r\n", position), content.size());
        field = content.substr(position, end - position);
        position = end;
      }
      row.fields.push_back(std::move(field));
      // A field ends at a comma, at a line end (with or without carriage return) or at the end of the text.
      if (content.substr(position, 2) == "\r\n") {
        ++position;
      }
      row_ends = position == content.size() || content[position] == '\n';
      require<FileError>(row_ends || content[position] == ',', source, ":", line, ": field ", row.fields.size(),
                         " is followed by a stray quote or character, expected a comma or the end of the line");
      line += position < content.size() && row_ends ? 1 : 0;
      ++position;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Reads the number in a column. `name` is the column's, `source` the name of the file, for the error.
/// \throws FileError, as "source:line: what is wrong", if it is none, or out of range
template <class Number>
void parse_number(const CsvRow& row, std::size_t column, std::string_view name, std::string_view source,
                  Number& number) {
  const std::string& field = row.fields[column];
  const char* const end = field.data() + field.size();
  const auto parsed = std::from_chars(field.data(), end, number);
  require<FileError>(parsed.ec == std::errc{} && parsed.ptr == end, source, ":", row.line, ": ", name, " is '", field,
                     "', expected ", std::is_floating_point_v<Number> ? "a number" : "an integer in range");
}

/// Writes a header and one row for each record. \throws FileError if the stream fails
inline void write_records(std::ostream& stream, std::span<const Record> records) {
  stream << "study,seed,stage,task,exemplars,predictor,metric,value\n";
  for (const Record& record : records) {
    stream << csv_field(record.study) << ',' << std::to_string(record.seed) << ',' << csv_field(record.stage) << ','
           << csv_field(record.task) << ',' << std::to_string(record.exemplars) << ',' << csv_field(record.predictor)
           << ',' << csv_field(record.metric) << ',' << shortest_text(record.value) << '\n';
  }
  stream.flush();
  require<FileError>(stream.good(), "write_records: the stream failed while writing ", records.size(), " records");
}

/// Writes the records to a file beside `path` and renames it, so that `path` is never half written.
/// \throws FileError if the file cannot be written or renamed
inline void write_records(const std::filesystem::path& path, std::span<const Record> records) {
  std::filesystem::path partial = path;
  partial += ".partial";
  {
    std::ofstream stream(partial, std::ios::binary);
    require<FileError>(stream.is_open(), "cannot open '", partial.string(), "' for writing");
    write_records(stream, records);
    stream.close();
    require<FileError>(!stream.fail(), "cannot write '", partial.string(), "' to its end; is the disk full?");
  }
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  require<FileError>(!error, "cannot rename '", partial.string(), "' to '", path.string(), "': ", error.message());
}

/// Reads back what `write_records` wrote, every value to the bit. `source` is the name that errors give.
/// \throws FileError, as "source:line: what is wrong", if the header or any row is malformed
[[nodiscard]] inline std::vector<Record> read_records(std::istream& stream, std::string_view source) {
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  require<FileError>(!stream.bad(), source, ": reading failed");
  const std::vector<CsvRow> rows = parse_csv(content, source);
  const std::vector<std::string> columns = {"study",     "seed",      "stage",  "task",
                                            "exemplars", "predictor", "metric", "value"};
  require<FileError>(!rows.empty() && rows.front().fields == columns, source,
                     ":1: the header is not study,seed,stage,task,exemplars,predictor,metric,value");
  std::vector<Record> records;
  for (const CsvRow& row : std::span(rows).subspan(1)) {
    require<FileError>(row.fields.size() == columns.size(), source, ":", row.line, ": ", row.fields.size(),
                       " fields, expected ", columns.size());
    const auto parse = [&](std::size_t column, auto& number) {
      parse_number(row, column, columns[column], source, number);
    };
    Record record{.study = row.fields[0],
                  .stage = row.fields[2],
                  .task = row.fields[3],
                  .predictor = row.fields[5],
                  .metric = row.fields[6]};
    parse(1, record.seed);
    parse(4, record.exemplars);
    parse(7, record.value);
    records.push_back(std::move(record));
  }
  return records;
}

/// Reads the records of a file. \throws FileError if it cannot be opened, or as above
[[nodiscard]] inline std::vector<Record> read_records(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  require<FileError>(stream.is_open(), "cannot open '", path.string(), "' for reading");
  return read_records(stream, path.string());
}

INCONTEXT_NAMESPACE_END
