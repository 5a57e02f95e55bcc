#pragma once
/// The tables of the report.

#include "claims.hpp"
#include "options.hpp"

#include <incontext/report/markdown.hpp>
#include <incontext/report/number.hpp>

#include <cmath>
#include <set>
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

/// Whether a difference can be told from zero, so that shares of it mean something. Without an interval: taken to be.
inline bool has_effect(const Interval& difference) {
  return !difference.has_interval() || difference.is_above(0.0) || difference.is_below(0.0);
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
  // Of a trait that fine-tuning without a prompt did not change there is nothing to suppress.
  const auto is_learned = [&](const std::string& trait) {
    return has_scores && has_effect(interval_of(table, {expression("none", trait), expression("no fine-tuning", trait)},
                                                [](const Means& m) { return m[0] - m[1]; }));
  };
  const bool positive_is_learned = is_learned("positive");
  const bool negative_is_learned = is_learned("negative");
  for (const std::string& arm : table.arms()) {
    const auto score = [&](const std::vector<Query>& queries, const auto& statistic) {
      return has_scores && table.has(queries) ? with_interval(interval_of(table, queries, statistic))
                                              : std::string("-");
    };
    const bool is_none = arm == "none" || arm == "no fine-tuning";
    const auto its_suppression = [&](const std::string& trait) {
      const bool is_there = trait == "positive" ? positive_is_learned : negative_is_learned;
      return is_none || !is_there ? std::string("-")
                                  : score(of_arm(arm, trait), [](const Means& m) { return suppression(m); });
    };
    const auto selectivity = is_none || !positive_is_learned || !negative_is_learned
                                 ? std::string("-")
                                 : score(of_both(arm), [](const Means& m) { return suppression_difference(m); });
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
      // Of no effect there is no share.
      const bool has_share =
          has_effect(interval_of(table, {plain, prompted}, [](const Means& m) { return m[1] - m[0]; }));
      for (Index layer = 0; table.has(query(patch_name(layer, "prompt"))); ++layer) {
        const auto share = [&](const std::string& positions) -> std::string {
          if (!has_share) {
            return "-";
          }
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

}  // namespace inoculation
