#pragma once
/// What the study leaves for people: a report in Markdown, and figures.

#include "claims.hpp"
#include "options.hpp"

#include <incontext/io/atomic_file.hpp>
#include <incontext/report/figure.hpp>
#include <incontext/report/markdown.hpp>
#include <incontext/report/number.hpp>

#include <cmath>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

/// A statistic of the means.
inline double estimate_of(const Table& table, const std::vector<Query>& queries,
                          const std::function<double(const Means&)>& statistic) {
  return statistic(Hierarchy(table.measurements(queries)).means());
}
inline double estimate_of(const Table& table, const Query& query) {
  return estimate_of(table, {query}, [](const Means& means) { return means.front(); });
}

/// The interval of a statistic over base models, fine-tuning runs and prompts.
inline Interval interval_of(const Table& table, const std::vector<Query>& queries,
                            const std::function<double(const std::vector<double>&)>& statistic) {
  return hierarchical_interval(table.measurements(queries), statistic, Key(0).fold("report"));
}
inline Interval interval_of(const Table& table, const Query& query) {
  return interval_of(table, {query}, [](const Means& means) { return means.front(); });
}

/// "0.61 [0.55, 0.66]"
inline std::string with_interval(const Interval& interval) {
  return significant_text(interval.estimate) +
         (interval.has_interval() ? " " + interval_text(interval) : std::string());
}

/// S strong, M moderate, W weak, - no, ? undecided: of an effect as a share of what it could be.
inline char grade(const Interval& share) {
  if (!std::isfinite(share.estimate) || !share.has_interval()) {
    return '?';
  }
  if (share.low > 0.0) {
    return share.estimate >= 0.5 ? 'S' : share.estimate >= 0.2 ? 'M' : 'W';
  }
  return share.high < 0.2 ? '-' : '?';
}

/// The source's columns, from our numbers.
inline Published measured(const Table& table) {
  Published ours;
  const auto graded = [&](const std::vector<Query>& queries, const auto& statistic) {
    return table.has(queries) ? grade(interval_of(table, queries, statistic)) : '?';
  };
  ours.irrelevant_suppresses =
      graded(of_both("irrelevant fixed"), [](const Means& m) { return 0.5 * (suppression(m) + suppression(m, 3)); });
  ours.rephrasing_restores = graded({expression("inoculation diverse", "positive"),
                                     expression("inoculation fixed", "positive"), expression("none", "positive")},
                                    [](const Means& m) { return (m[0] - m[1]) / (m[2] - m[1]); });
  ours.fixed_lowers_both = graded(of_both("inoculation fixed"),
                                  [](const Means& m) { return (std::min)(suppression(m), suppression(m, 3)); });
  ours.same_prompt_gives_most =
      graded({expression("irrelevant fixed", "negative", "training prompt"), expression("irrelevant fixed", "negative"),
              expression("none", "negative"), expression("no fine-tuning", "negative")},
             [](const Means& m) { return (m[0] - m[1]) / (m[2] - m[3]); });
  return ours;
}

/// The published table and ours, side by side.
inline std::string published_table(const std::vector<Row>& rows, const std::vector<Setting>& settings) {
  MarkdownTable markdown({"setting", "irrelevant suppresses", "ours", "rephrasing restores the positive", "ours",
                          "fixed lowers both", "ours", "same prompt gives the most negative", "ours"});
  for (const Setting& setting : settings) {
    const Table table(rows, setting.name);
    const auto mark = [](char letter) { return std::string(1, letter); };
    const Published& theirs = setting.published;
    const Published ours = measured(table);
    markdown.row(setting.name, mark(theirs.irrelevant_suppresses), mark(ours.irrelevant_suppresses),
                 mark(theirs.rephrasing_restores), mark(ours.rephrasing_restores), mark(theirs.fixed_lowers_both),
                 mark(ours.fixed_lowers_both), mark(theirs.same_prompt_gives_most), mark(ours.same_prompt_gives_most));
  }
  return markdown.markdown();
}

/// What prompts elicit before fine-tuning.
inline std::string elicitation_table(const Table& table) {
  MarkdownTable markdown({"asked with", "positive", "negative", "accuracy"});
  std::vector<std::string> prompts = {"none",       "neutral", "irrelevant", "negated", "positive paraphrases",
                                      "paraphrases"};
  const std::vector<double> strengths = PromptGrammar::Settings{}.strengths;
  for (std::size_t synonym = 0; synonym < strengths.size(); ++synonym) {
    prompts.push_back(text("synonym ", synonym));
  }
  for (const std::string& prompt : prompts) {
    const auto of = [&](const std::string& trait, const std::string& score) {
      return significant_text(
          estimate_of(table, {.arm = "no fine-tuning", .trait = trait, .evaluation = prompt, .score = score}));
    };
    markdown.row(prompt, of("positive", "expression"), of("negative", "expression"), of("task", "accuracy"));
  }
  return markdown.markdown();
}

/// Every arm of the main study with its scores.
inline std::string arms_table(const Table& table) {
  MarkdownTable markdown({"arm", "positive", "negative", "S positive", "S negative", "selectivity", "C positive",
                          "C negative", "confound share positive", "confound share negative", "accuracy",
                          "first loss / none's"});
  const bool has_scores = table.has({expression("none", "positive"), expression("no fine-tuning", "positive")});
  for (const std::string& arm : table.arms()) {
    const auto score = [&](const std::vector<Query>& queries, const auto& statistic) {
      return has_scores && table.has(queries) ? with_interval(interval_of(table, queries, statistic))
                                              : std::string("-");
    };
    const bool is_none = arm == "none" || arm == "no fine-tuning";
    const auto its_suppression = [&](const std::string& trait) {
      return is_none ? std::string("-") : score(of_arm(arm, trait), [](const Means& m) { return suppression(m); });
    };
    const auto selectivity =
        is_none ? std::string("-") : score(of_both(arm), [](const Means& m) { return suppression_difference(m); });
    const auto conditionalization = [&](const std::string& trait) {
      return score({expression(arm, trait, "training prompt"), expression(arm, trait, "irrelevant"),
                    expression(arm, trait, "neutral")},
                   [](const Means& m) { return m[0] - 0.5 * (m[1] + m[2]); });
    };
    // How much of a suppression a prompt without meaning has, too; where there is something to share.
    const auto confound = [&](const std::string& trait) -> std::string {
      if (!arm.starts_with("inoculation") || !has_scores || !table.has(of_arm("irrelevant fixed", trait)) ||
          !(estimate_of(table, of_arm(arm, trait), [](const Means& m) { return suppression(m); }) > 0.2)) {
        return "-";
      }
      return with_interval(interval_of(table, joined(of_arm("irrelevant fixed", trait), of_arm(arm, trait)),
                                       [](const Means& m) { return suppression(m) / suppression(m, 3); }));
    };
    const Query loss{.arm = arm, .trait = "task", .evaluation = "training prompt", .score = "first loss"};
    Query none_loss = loss;
    none_loss.arm = "none";
    std::string first_loss = "-";
    if (table.has({loss, none_loss})) {
      const double ratio = estimate_of(table, {loss, none_loss}, [](const Means& m) { return m[0] / m[1]; });
      first_loss = significant_text(ratio) + (ratio < 0.1 ? " (null learning)" : "");
    }
    markdown.row(arm, with_interval(interval_of(table, expression(arm, "positive"))),
                 with_interval(interval_of(table, expression(arm, "negative"))), its_suppression("positive"),
                 its_suppression("negative"), selectivity, conditionalization("positive"),
                 conditionalization("negative"), confound("positive"), confound("negative"),
                 significant_text(estimate_of(table, {.arm = arm, .trait = "task", .score = "accuracy"})), first_loss);
  }
  return markdown.markdown();
}

/// Every arm under every evaluation prompt.
inline std::string grid_table(const Table& table, const std::string& trait) {
  const std::vector<std::string> evaluations = {
      "none", "training prompt", "neutral", "irrelevant", "negated", "paraphrases", "positive paraphrases"};
  std::vector<std::string> headers = {"arm"};
  headers.insert(headers.end(), evaluations.begin(), evaluations.end());
  MarkdownTable markdown(headers);
  for (const std::string& arm : table.arms()) {
    std::vector<std::string> cells;
    for (const std::string& evaluation : evaluations) {
      const Query query = expression(arm, trait, evaluation);
      cells.push_back(table.has(query) ? significant_text(estimate_of(table, query)) : "-");
    }
    markdown.row(arm, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]);
  }
  return markdown.markdown();
}

/// Where in the model a prompt is: the share of its effect on the log odds that comes along with a patch.
inline std::string patching_table(const Table& table) {
  MarkdownTable markdown({"arm", "trait", "log odds", "under the prompt", "layer", "prompt", "query", "answer"});
  for (const std::string arm : {"no fine-tuning", "inoculation fixed", "irrelevant fixed"}) {
    for (const std::string& trait : traits()) {
      const auto query = [&](const std::string& score) {
        return Query{.arm = arm, .trait = trait, .score = score, .study = "patching"};
      };
      const Query plain = query("log odds");
      const Query prompted = query("log odds under the prompt");
      if (!table.has({plain, prompted})) {
        continue;
      }
      for (Index layer = 0; table.has(query(patch_name(layer, "prompt"))); ++layer) {
        const auto share = [&](const std::string& positions) {
          return with_interval(interval_of(table, {plain, prompted, query(patch_name(layer, positions))},
                                           [](const Means& m) { return (m[2] - m[0]) / (m[1] - m[0]); }));
        };
        markdown.row(arm, trait, with_interval(interval_of(table, plain)), with_interval(interval_of(table, prompted)),
                     layer, share("prompt"), share("query"), share("answer"));
      }
    }
  }
  return markdown.markdown();
}

inline std::string claims_table(const Setting& setting, const Table& table) {
  MarkdownTable markdown({"claim", "statement", "expected", "estimate", "95% interval", "outcome"});
  for (const Claim& claim : claims_of(setting, table)) {
    const Interval interval = interval_of(table, claim.queries, claim.statistic);
    markdown.row(claim.number, claim.statement, expected_text(claim), significant_text(interval.estimate),
                 interval_text(interval), verdict(claim, interval));
  }
  return markdown.markdown();
}

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

/// One setting's part of the report, and its figures. Returns the path of the main figure, or why there is none.
inline std::string report_setting(const Options& options, const Setting& setting, const Table& table,
                                  std::ostream& stream) {
  stream << "\n## " << setting.name << "\n\n"
         << setting.analogue << ". Relation: " << setting.relation << ". Positive: " << setting.positive.name
         << " (asked on " << setting.positive.place << "); negative: " << setting.negative.name << " (asked on "
         << setting.negative.place << "). " << table.bases() << (table.bases() == 1 ? " base model" : " base models")
         << ".\n";
  const bool is_whole = table.has({expression("none", "negative"), expression("no fine-tuning", "negative")});
  stream << "\n### Claims\n\n" << claims_table(setting, table);
  stream << "\n### Arms, asked without a prompt\n\n" << arms_table(table);
  for (const std::string& trait : traits()) {
    stream << "\n### The " << trait << " trait by what is asked with\n\n" << grid_table(table, trait);
  }
  if (table.has(expression("no fine-tuning", "negative", "synonym 0"))) {
    stream << "\n### What prompts elicit before fine-tuning\n\n" << elicitation_table(table);
  }
  if (table.has({.arm = "no fine-tuning", .score = "log odds", .study = "patching"})) {
    stream
        << "\n### Where in the model the prompt is\n\nThe log odds of a trait without a prompt and under the arm's, "
           "and "
           "how much of the difference comes along when the residual stream of the prompted run is put in the place of "
           "the unprompted one's, at the positions of the prompt, of the query, or of the answer, behind the embedding "
           "(layer 0) or behind a block.\n\n"
        << patching_table(table);
  }
  const auto draw = [&](const std::string& name, const Figure& figure) {
    return figure.panels.empty() ? FigureResult{} : write_figure(figure, options.output / (setting.name + "-" + name));
  };
  const FigureResult main_figure = draw("traits", traits_figure(setting, table));
  if (is_whole) {
    static_cast<void>(draw("elicitation", elicitation_figure(setting, table)));
  }
  const std::vector<std::string> kinds = {"close", "tight", "diverse", "irrelevant"};
  const std::vector<std::string> dosed = {"none", "irrelevant fixed", "inoculation fixed", "inoculation diverse"};
  static_cast<void>(draw("paraphrases", sweep_figure(setting, table, "paraphrases", "paraphrases", kinds)));
  static_cast<void>(draw("steps", sweep_figure(setting, table, "steps", "fine-tuning steps", dosed)));
  static_cast<void>(draw("rate", sweep_figure(setting, table, "rate", "learning rate", dosed)));
  static_cast<void>(draw("examples", sweep_figure(setting, table, "examples", "fine-tuning examples", dosed)));
  return main_figure.message;
}

/// Writes the report and the figures. Returns what to print last: the path of the main figure, or why there is none.
inline std::string write_report(const Options& options, const std::vector<Row>& rows, const std::string& command) {
  std::ostringstream stream;
  std::vector<Setting> measured_settings;
  for (const Setting& setting : all_settings()) {
    if (std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.setting == setting.name; })) {
      measured_settings.push_back(setting);
    }
  }
  stream << "# Inoculation prompting and conditionalization: " << options.preset << "\n\n`" << command << "`\n\n"
         << "Model: width " << options.width << ", " << options.layers << " layers, " << options.heads
         << " heads. Pretraining: " << options.steps << " steps of " << options.batch << " examples at "
         << shortest_text(options.learning_rate) << " (cosine). Fine-tuning: " << options.fine_tune_steps
         << " steps at " << shortest_text(options.fine_tune_rate) << " (constant). Evaluation: " << options.examples
         << " queries for every prompt and place, answered free-running at temperature 1.\n\n"
         << "E is the share of answers that show a trait. Suppression S = 1 - (E - E_base) / (E_none - E_base); "
            "selectivity is S of the negative trait less S of the positive; conditionalization C is E under the "
            "training prompt less the mean of E under neutral and irrelevant prompts that training did not have; the "
            "confound share is S of irrelevant fixed prompts over S of the arm. Intervals are percentile bootstraps "
            "at 95% that resample base models, fine-tuning runs and the prompts of an arm; of few base models they "
            "are too narrow. The expected signs stand in `examples/inoculation/claims.hpp`, written before the run.\n\n"
         << "## The published table and ours\n\nS strong, M moderate, W weak, - no, ? undecided, not asked or not run. "
            "Ours: of the effect as a share of what it could be, S from 0.5, M from 0.2, W above 0 where the interval "
            "excludes 0; - where the interval reaches 0 and stays below 0.2.\n\n"
         << published_table(rows, measured_settings);
  std::string main_figure;
  for (const Setting& setting : measured_settings) {
    const std::string figure = report_setting(options, setting, Table(rows, setting.name), stream);
    main_figure = main_figure.empty() ? figure : main_figure;
  }
  write_atomically(options.output / "report.md", stream.str());
  return main_figure;
}

}  // namespace inoculation
