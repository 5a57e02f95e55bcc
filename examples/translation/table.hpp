#pragma once
/// The study's table: one measured number a row, written to and read from CSV, and looked up by what it is.

#include "../shared/table_file.hpp"

#include <incontext/incontext.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace translation {

using namespace incontext;

/// What a number is asked for by.
struct Query {
  std::uint64_t seed = 0;
  /// "pretrained"; "fine-tuned", which is in language 1; or, as controls, "fine-tuned in all" languages and
  /// "fine-tuned in the most distant"
  std::string stage{};
  std::string skill{};        ///< whose answer is right: that of the "exemplars", or of the "dictionary"
  double language = 1.0;      ///< of the prompt: the share of its words that language 1 has; 1 is language 1
  std::string translation{};  ///< by which the model was asked: "none", or a name that `translation_to` and others give
  std::string metric = "accuracy";

  auto operator<=>(const Query&) const = default;
};

/// One row of the table.
struct Measurement {
  Query what{};
  double value = 0.0;
};

/// The names of the translations that a prompt is asked through, in the column `translation`.
inline std::string translation_to(double language) { return "to language " + shortest_text(language); }
inline std::string partial_translation(double share) { return "partial " + shortest_text(share); }
inline const char* const no_translation = "none";
inline const char* const permutation_of_words = "permuted words";
inline const char* const dictionary_of_words = "words by dictionary";
inline const char* const unknown_language = "to an unknown language";

/// \throws FileError if the file cannot be written
inline void write_measurements(const std::filesystem::path& path, const std::vector<Measurement>& measurements) {
  std::ostringstream stream;
  CsvWriter writer(stream, {"seed", "stage", "skill", "language", "translation", "metric", "value"});
  for (const auto& [what, value] : measurements) {
    writer.row(what.seed, what.stage, what.skill, what.language, what.translation, what.metric, value);
  }
  write_atomically(path, stream.str());
}

/// \throws FileError if the file cannot be read, or is not what `write_measurements` writes
inline std::vector<Measurement> read_measurements(const std::filesystem::path& path) {
  std::vector<Measurement> measurements;
  for (const CsvRow& row : studies::read_table(path, 7)) {
    const std::vector<std::string>& fields = row.fields;
    measurements.push_back({{std::stoull(fields[0]), fields[1], fields[2], std::stod(fields[3]), fields[4], fields[5]},
                            std::stod(fields[6])});
  }
  return measurements;
}

/// The table, for looking numbers up.
class Table {
 public:
  explicit Table(const std::vector<Measurement>& measurements) {
    std::set<std::uint64_t> seeds;
    for (const auto& [what, value] : measurements) {
      values_[what] = value;
      seeds.insert(what.seed);
    }
    seeds_.assign(seeds.begin(), seeds.end());
  }

  /// \throws ConfigurationError if the table has no such row
  [[nodiscard]] double at(const Query& query) const {
    const auto found = values_.find(query);
    require(found != values_.end(), "the table has no row seed ", query.seed, ", ", query.stage, ", ", query.skill,
            ", language ", query.language, ", ", query.translation, ", ", query.metric);
    return found->second;
  }
  [[nodiscard]] const std::vector<std::uint64_t>& seeds() const { return seeds_; }

 private:
  std::map<Query, double> values_;
  std::vector<std::uint64_t> seeds_;
};

}  // namespace translation
