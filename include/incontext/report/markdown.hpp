#pragma once
/// \file
/// A small builder of Markdown tables.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/report/number.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// A table whose source reads as well as its rendering: columns are padded, and a column whose cells were all given as
/// numbers stands to the right.
class MarkdownTable {
 public:
  /// \throws ConfigurationError if there are no columns, or digits is not 1 to 15
  explicit MarkdownTable(std::vector<std::string> headers, int digits = 3) : digits_(digits) {
    require(!headers.empty(), "MarkdownTable: there are no columns, expected at least one");
    require(digits >= 1 && digits <= 15, "MarkdownTable: digits is ", digits, ", expected 1 to 15");
    numeric_.assign(headers.size(), true);
    for (std::string& header : headers) {
      header = escaped(header);
    }
    rows_.push_back(std::move(headers));
  }

  /// Adds a row of texts, whole numbers, and doubles, which are rounded to the table's significant digits.
  /// \throws ShapeError if the number of cells is not that of the headers
  template <class... Cells>
  void row(const Cells&... cells) {
    require<ShapeError>(sizeof...(cells) == numeric_.size(), "MarkdownTable::row: ", sizeof...(cells),
                        " cells, expected ", numeric_.size(), ", one for each header");
    std::vector<std::string> texts;
    (texts.push_back(cell_text(cells)), ...);
    rows_.push_back(std::move(texts));
    std::size_t column = 0;
    ((numeric_[column] = numeric_[column] && std::is_arithmetic_v<Cells>, ++column), ...);
  }

  /// The table in Markdown, with a line end after every row.
  [[nodiscard]] std::string markdown() const {
    std::vector<std::size_t> widths(numeric_.size(), 3);
    for (const auto& cells : rows_) {
      for (std::size_t column = 0; column < cells.size(); ++column) {
        widths[column] = (std::max)(widths[column], width(cells[column]));
      }
    }
    std::string result = line(rows_.front(), widths);
    for (std::size_t column = 0; column < widths.size(); ++column) {
      result += numeric_[column] ? "| " + std::string(widths[column] - 1, '-') + ": "
                                 : "| " + std::string(widths[column], '-') + ' ';
    }
    result += "|\n";
    for (std::size_t row_index = 1; row_index < rows_.size(); ++row_index) {
      result += line(rows_[row_index], widths);
    }
    return result;
  }

 private:
  template <class Cell>
  [[nodiscard]] std::string cell_text(const Cell& cell) const {
    if constexpr (std::is_integral_v<Cell>) {
      return std::to_string(cell);
    } else if constexpr (std::is_floating_point_v<Cell>) {
      return significant_text(static_cast<double>(cell), digits_);
    } else {
      return escaped(cell);
    }
  }
  /// A bar would end the cell, and a line end the row.
  static std::string escaped(std::string_view cell) {
    std::string result;
    for (const char letter : cell) {
      if (letter == '|') {
        // Backslashes before the bar are doubled, or else they would escape the one that escapes it.
        const std::size_t last_other = result.find_last_not_of('\\');
        const std::size_t kept = last_other == std::string::npos ? 0 : last_other + 1;
        result += std::string(result.size() - kept, '\\') + "\\|";
      } else {
        result += letter == '\n' || letter == '\r' ? ' ' : letter;
      }
    }
    return result;
  }
  /// The number of characters of UTF-8 text: continuation bytes start with the bits 10.
  static std::size_t width(std::string_view cell) {
    return static_cast<std::size_t>(std::count_if(
        cell.begin(), cell.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
  }
  [[nodiscard]] std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) const {
    std::string result;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(widths[column] - width(cells[column]), ' ');
      result += numeric_[column] ? "| " + padding + cells[column] + ' ' : "| " + cells[column] + padding + ' ';
    }
    return result + "|\n";
  }

  int digits_;
  std::vector<bool> numeric_;
  std::vector<std::vector<std::string>> rows_;  // the headers come first
};

INCONTEXT_NAMESPACE_END
