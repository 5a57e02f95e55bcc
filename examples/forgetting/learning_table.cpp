#include "learning_table.hpp"

#include "../shared/table_file.hpp"

#include <incontext/core/error.hpp>
#include <incontext/io/atomic_file.hpp>
#include <incontext/report/csv.hpp>
#include <incontext/report/figure.hpp>
#include <incontext/report/markdown.hpp>
#include <incontext/report/number.hpp>
#include <incontext/report/progress.hpp>

#include <map>
#include <sstream>
#include <utility>

namespace forgetting {

namespace {

std::string summary(const LearningHeading& heading, const std::vector<LearningRow>& rows, Index step, Index steps) {
  MarkdownTable errors({"dimension", "points", "predictor", "squared error"});
  for (const LearningRow& row : rows) {
    if (row.step == step) {
      errors.row(row.extent.dimension, row.extent.points, row.predictor, row.error);
    }
  }
  const std::string rest = text("; at that rate the other ", steps - step, " steps take ",
                                duration_text(heading.full_step_seconds * static_cast<double>(steps - step)));
  return text("# Pretraining so far: ", step, " of ", steps, " steps\n\n`", heading.command, "`\n\n",
              duration_text(rows.back().seconds), " of training on ", heading.workers,
              heading.workers == 1 ? " thread" : " threads", ". A step on full prompts took ",
              significant_text(heading.full_step_seconds), " s when the run began", step < steps ? rest : "",
              ".\n\nOn D_mix, at the extent that the curriculum has reached and at the full one; against the "
              "noiseless target, mean over numbers of exemplars, ",
              heading.prompts, " prompts that are the same throughout:\n\n", errors.markdown());
}

Figure figure(const std::vector<LearningRow>& rows, Extent full) {
  Figure figure{.title = "Pretraining: the model and the Bayes-optimal predictors on D_mix",
                .x_axis = {.label = "training step"},
                .y_axis = {.label = "squared error against the noiseless target", .minimum = 0.0},
                .share_y = false};
  const auto panel = [&](std::string title, const auto& belongs) {
    const auto curve = [&](const std::string& name, const std::string& predictor, SeriesStyle style) {
      Series series{.name = name, .style = style};
      for (const LearningRow& row : rows) {
        if (row.predictor == predictor && belongs(row)) {
          series.x.push_back(static_cast<double>(row.step));
          series.y.push_back(row.error);
        }
      }
      return series;
    };
    figure.panels.push_back({.title = std::move(title),
                             .series = {curve("transformer", "transformer", SeriesStyle::line),
                                        curve("ridge", "ridge", SeriesStyle::dashed),
                                        curve("pool posterior", "pool_posterior", SeriesStyle::dashed),
                                        curve("mixture posterior", "mixture_posterior", SeriesStyle::dashed)}});
  };
  // Of the rows of one step, the first is at the curriculum's extent.
  std::map<Index, Extent> reached;
  for (const LearningRow& row : rows) {
    reached.try_emplace(row.step, row.extent);
  }
  panel("as far as the curriculum", [&](const LearningRow& row) { return row.extent == reached.at(row.step); });
  panel("full prompts", [&](const LearningRow& row) { return row.extent == full; });
  return figure;
}

}  // namespace

std::vector<LearningRow> read_learning(const std::filesystem::path& folder, Index until) {
  const std::filesystem::path path = folder / "learning.csv";
  std::vector<LearningRow> rows;
  if (until == 0 || !std::filesystem::exists(path)) {
    return rows;
  }
  for (const CsvRow& row : studies::read_table(path, 6)) {
    const auto whole = [&](std::size_t field) { return static_cast<Index>(std::stoll(row.fields[field])); };
    if (whole(0) <= until) {
      rows.push_back(
          {whole(0), std::stod(row.fields[1]), {whole(2), whole(3)}, row.fields[4], std::stod(row.fields[5])});
    }
  }
  return rows;
}

void write_learning(const std::filesystem::path& folder, const LearningHeading& heading,
                    const std::vector<LearningRow>& rows, Index step, Index steps) {
  std::ostringstream table;
  CsvWriter writer(table, {"step", "seconds", "dimension", "points", "predictor", "squared_error_target"});
  for (const LearningRow& row : rows) {
    writer.row(row.step, row.seconds, row.extent.dimension, row.extent.points, row.predictor, row.error);
  }
  write_atomically(folder / "learning.csv", table.str());
  write_atomically(folder / "learning.md", summary(heading, rows, step, steps));
  static_cast<void>(write_figure(figure(rows, heading.full), folder / "learning"));
}

}  // namespace forgetting
