#pragma once
/// \file
/// The observer that writes training curves as CSV.

#include "incontext/core/error.hpp"
#include "incontext/policy/observer.hpp"
#include "incontext/report/csv.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Writes `step,loss` of every training stage to `folder`/training-PLACE.csv; the loss is the mean since the row
/// before. A resumed stage keeps the rows up to where it was resumed.
class TrainingCurve {
 public:
  struct Settings {
    std::filesystem::path folder = ".";  ///< made if it is not there
    Index every = 100;                   ///< steps between rows
  };

  /// \throws ConfigurationError if every < 1; FileError if the folder cannot be made
  explicit TrainingCurve(Settings settings) : settings_(std::move(settings)) {
    require(settings_.every >= 1, "TrainingCurve: every is ", settings_.every, ", expected at least 1");
    std::error_code error;
    std::filesystem::create_directories(settings_.folder, error);
    require<FileError>(!error, "TrainingCurve: cannot make the folder ", settings_.folder.string(), ": ",
                       error.message());
  }

  template <class Scalar>
  void on_begin(TrainingState<Scalar>& state) {
    sum_ = &state.memory.try_emplace("training_curve.sum", 0.0).first->second;
    const std::filesystem::path path = settings_.folder / ("training-" + state.place + ".csv");
    const std::vector<CsvRow> kept = rows_until(path, state.step);
    writer_.reset();
    stream_ = std::ofstream(path, std::ios::binary);
    require<FileError>(stream_.good(), "TrainingCurve: cannot write ", path.string());
    writer_.emplace(stream_, std::vector<std::string>{"step", "loss"});
    for (const CsvRow& row : kept) {
      writer_->row(row.fields[0], row.fields[1]);
    }
  }
  template <class Scalar>
  void on_step(const TrainingState<Scalar>& state) {
    *sum_ += state.loss;
    if (state.step % settings_.every == 0) {
      writer_->row(state.step, *sum_ / static_cast<double>(settings_.every));
      *sum_ = 0.0;
    }
  }

 private:
  /// The rows of an earlier part of the stage.
  static std::vector<CsvRow> rows_until(const std::filesystem::path& path, Index step) {
    std::ifstream stream(path, std::ios::binary);
    if (step == 0 || !stream.good()) {
      return {};
    }
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    std::vector<CsvRow> rows = parse_csv(content, path.string());
    // The header is no number; a row that a crash cut short is later than the step.
    std::erase_if(rows, [&](const CsvRow& row) {
      const std::string& field = row.fields.front();
      Index number = 0;
      const auto parsed = std::from_chars(field.data(), field.data() + field.size(), number);
      return row.fields.size() != 2 || parsed.ec != std::errc{} || number > step;
    });
    return rows;
  }

  Settings settings_;
  std::ofstream stream_;
  std::optional<CsvWriter> writer_;
  double* sum_ = nullptr;
};

INCONTEXT_NAMESPACE_END
