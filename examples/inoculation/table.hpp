#pragma once
/// The study's table: tidy rows, and the measurements that claims are read off.

#include <incontext/core/error.hpp>
#include <incontext/io/atomic_file.hpp>
#include <incontext/report/csv.hpp>
#include <incontext/report/hierarchical_bootstrap.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace inoculation {

using namespace incontext;

/// One number, and everything that says what it is.
struct Row {
  std::string study;    ///< "main", or the dose: "steps=50"
  std::string setting;  ///< "trait-distillation"
  Index seed = 0;       ///< of fine-tuning
  Index base_seed = 0;  ///< of pretraining
  std::string arm;
  Index prompt = 0;        ///< the instance of the arm's prompts
  std::string evaluation;  ///< under which prompt, and where if that is not the trait's own place
  std::string trait;       ///< "positive", "negative", or "task" for what concerns neither
  std::string score;       ///< "expression", "accuracy", "first loss", ...
  double value = 0.0;
};

inline const std::vector<std::string>& columns() {
  static const std::vector<std::string> names = {"study",  "setting",    "seed",  "base_seed", "arm",
                                                 "prompt", "evaluation", "trait", "score",     "value"};
  return names;
}

/// \throws FileError if the file cannot be written
inline void write_rows(const std::filesystem::path& path, const std::vector<Row>& rows) {
  std::ostringstream stream;
  CsvWriter writer(stream, columns());
  for (const Row& row : rows) {
    writer.row(row.study, row.setting, row.seed, row.base_seed, row.arm, row.prompt, row.evaluation, row.trait,
               row.score, row.value);
  }
  write_atomically(path, stream.str());
}

/// \throws FileError if the file cannot be read or is no table of this study
inline std::vector<Row> read_rows(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  require<FileError>(stream.is_open(), "cannot open '", path.string(), "' for reading");
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const std::vector<CsvRow> lines = parse_csv(content, path.string());
  require<FileError>(!lines.empty() && lines.front().fields == columns(), path.string(),
                     ":1: the header is not study,setting,seed,base_seed,arm,prompt,evaluation,trait,score,value");
  std::vector<Row> rows;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    const std::vector<std::string>& fields = lines[line].fields;
    require<FileError>(fields.size() == columns().size(), path.string(), ":", lines[line].line, ": ", fields.size(),
                       " fields, expected ", columns().size());
    const auto parse = [&](std::size_t column, auto& number) {
      parse_number(lines[line], column, columns()[column], path.string(), number);
    };
    Row row{.study = fields[0],
            .setting = fields[1],
            .arm = fields[4],
            .evaluation = fields[6],
            .trait = fields[7],
            .score = fields[8]};
    parse(2, row.seed);
    parse(3, row.base_seed);
    parse(5, row.prompt);
    parse(9, row.value);
    rows.push_back(std::move(row));
  }
  return rows;
}

/// The score of a patch: positions of the residual stream behind a layer.
inline std::string patch_name(Index layer, const std::string& positions) {
  return text("log odds, ", positions, " at layer ", layer);
}

/// What a number is asked for by.
struct Query {
  std::string arm;
  std::string trait = "negative";
  std::string evaluation = "none";
  std::string score = "expression";
  std::string study = "main";

  auto operator<=>(const Query&) const = default;
};

/// The rows of one setting, for looking numbers up.
class Table {
 public:
  Table(const std::vector<Row>& rows, const std::string& setting) {
    for (const Row& row : rows) {
      if (row.setting == setting) {
        cells_[{row.arm, row.trait, row.evaluation, row.score, row.study}][{row.base_seed, row.seed}][row.prompt] =
            row.value;
        bases_.insert(row.base_seed);
        if (std::find(arms_.begin(), arms_.end(), row.arm) == arms_.end() && row.study == "main") {
          arms_.push_back(row.arm);
        }
        studies_.insert(row.study);
      }
    }
  }

  [[nodiscard]] bool has(const Query& query) const { return cells_.contains(query); }
  [[nodiscard]] bool has(const std::vector<Query>& queries) const {
    return std::all_of(queries.begin(), queries.end(), [&](const Query& query) { return has(query); });
  }
  [[nodiscard]] bool empty() const { return cells_.empty(); }
  /// Of the main study, in the order in which they were measured.
  [[nodiscard]] const std::vector<std::string>& arms() const { return arms_; }
  [[nodiscard]] const std::set<std::string>& studies() const { return studies_; }
  [[nodiscard]] Index bases() const { return static_cast<Index>(bases_.size()); }

  /// The queries' values side by side, by base model, fine-tuning seed and instance of the prompts, where all were
  /// measured. A query with fewer instances than another counts with each of its own in turn, since instances of
  /// different arms have nothing to do with each other.
  /// \throws ConfigurationError if a query was never measured
  [[nodiscard]] std::vector<Measurement> measurements(const std::vector<Query>& queries) const {
    Index instances = 1;
    std::vector<const Cells*> found;
    for (const Query& query : queries) {
      const auto place = cells_.find(query);
      require(place != cells_.end(), "the table has no ", query.score, " of trait '", query.trait, "' in arm '",
              query.arm, "' under '", query.evaluation, "', study ", query.study);
      found.push_back(&place->second);
      for (const auto& [run, prompts] : place->second) {
        instances = (std::max)(instances, static_cast<Index>(prompts.size()));
      }
    }
    std::vector<Measurement> measurements;
    for (const auto& [run, ignored] : *found.front()) {
      const bool everywhere =
          std::all_of(found.begin(), found.end(), [&, &run = run](const Cells* cells) { return cells->contains(run); });
      for (Index instance = 0; everywhere && instance < instances; ++instance) {
        Measurement measurement{.base = run.first, .fine_tuning = run.second, .prompt = instance, .values = {}};
        for (const Cells* cells : found) {
          const std::map<Index, double>& prompts = cells->at(run);
          const auto offset = static_cast<std::ptrdiff_t>(instance % static_cast<Index>(prompts.size()));
          measurement.values.push_back(std::next(prompts.begin(), offset)->second);
        }
        measurements.push_back(std::move(measurement));
      }
    }
    return measurements;
  }

 private:
  using Cells = std::map<std::pair<Index, Index>, std::map<Index, double>>;
  std::map<Query, Cells> cells_;
  std::set<Index> bases_;
  std::vector<std::string> arms_;
  std::set<std::string> studies_;
};

}  // namespace inoculation
