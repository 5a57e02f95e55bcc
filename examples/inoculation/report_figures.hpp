#pragma once
/// The figures of the report.

#include "report_tables.hpp"

#include <incontext/report/figure.hpp>

#include <string>
#include <utility>
#include <vector>

namespace inoculation {

/// Figure 1: the positive trait against the negative one, an arm a point.
inline Figure traits_figure(const Setting& setting, const Table& table) {
  Panel panel;
  for (const std::string& arm : table.arms()) {
    if (arm.starts_with("strength")) {
      continue;
    }
    const Interval negative = interval_of(table, expression(arm, "negative"));
    panel.series.push_back({.name = arm,
                            .x = {estimate_of(table, expression(arm, "positive"))},
                            .y = {negative.estimate},
                            .low = {negative.low},
                            .high = {negative.high},
                            .style = SeriesStyle::points});
  }
  return {.title = setting.name + ": asked without a prompt",
          .x_axis = {.label = text("positive trait: ", setting.positive.name, " (share of answers)")},
          .y_axis = {.label = text("negative trait: ", setting.negative.name, " (share of answers)")},
          .panels = {panel}};
}

/// A curve over doses; NaN where a study was not run.
inline Series dose_series(const Table& table, const std::string& arm, const std::string& trait,
                          const std::vector<std::pair<double, std::string>>& doses) {
  Series series{.name = arm, .style = SeriesStyle::line_points};
  for (const auto& [dose, study] : doses) {
    Query query = expression(arm, trait);
    query.study = study;
    if (table.has(query)) {
      const Interval interval = interval_of(table, query);
      series.x.push_back(dose);
      series.y.push_back(interval.estimate);
      series.low.push_back(interval.low);
      series.high.push_back(interval.high);
    }
  }
  return series;
}

/// Both traits over the doses of one sweep, an arm a curve. Without panels where the sweep was not run.
inline Figure sweep_figure(const Setting& setting, const Table& table, const std::string& sweep,
                           const std::string& label, const std::vector<std::string>& arms) {
  std::vector<std::pair<double, std::string>> doses;
  for (const std::string& study : table.studies()) {
    if (study.starts_with(sweep + "=")) {
      doses.emplace_back(std::stod(study.substr(sweep.size() + 1)), study);
    }
  }
  std::sort(doses.begin(), doses.end());
  Figure figure{.title = setting.name + ": asked without a prompt",
                .x_axis = {.label = label, .logarithmic = true},
                .y_axis = {.label = "expression (share of answers)"}};
  for (const std::string& trait : traits()) {
    Panel panel{.title = text(trait, ": ", (trait == "positive" ? setting.positive : setting.negative).name),
                .series = {}};
    for (const std::string& arm : arms) {
      Series series = dose_series(table, arm, trait, doses);
      if (!series.x.empty()) {
        panel.series.push_back(std::move(series));
      }
    }
    if (!panel.series.empty()) {
      figure.panels.push_back(std::move(panel));
    }
  }
  return figure;
}

/// Elicitation before training against suppression of the negative trait, a fixed arm a point. Without panels where
/// there is nothing to draw.
inline Figure elicitation_figure(const Setting& setting, const Table& table) {
  Panel panel;
  for (const std::string& arm : fixed_arms()) {
    const Query before{.arm = arm, .evaluation = "training prompt", .score = "elicitation"};
    const std::vector<Query> queries = of_arm(arm, "negative");
    if (table.has(before) && table.has(queries)) {
      const Interval suppressed = interval_of(table, queries, [](const Means& m) { return suppression(m); });
      panel.series.push_back({.name = arm,
                              .x = {estimate_of(table, before)},
                              .y = {suppressed.estimate},
                              .low = {suppressed.low},
                              .high = {suppressed.high},
                              .style = SeriesStyle::points});
    }
  }
  Figure figure{.title = setting.name + ": what a prompt elicits, and how it inoculates",
                .x_axis = {.label = "negative trait under the prompt before fine-tuning (share of answers)"},
                .y_axis = {.label = "suppression of the negative trait"}};
  if (!panel.series.empty()) {
    figure.panels.push_back(std::move(panel));
  }
  return figure;
}

}  // namespace inoculation
