#pragma once
/// The claims of the study: each with the sign that was expected before any run, and how it is read off the table.
/// The numbers are those of the fifteen claims that the sources make or imply; "open" is what they leave undecided.

#include "../shared/claim.hpp"
#include "scores.hpp"
#include "setting.hpp"

#include <incontext/report/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace inoculation {

using studies::Expected;
using studies::expected_text;
using studies::interval_text;
using studies::verdict;

/// A statistic of the means of some queries.
struct Claim {
  std::string number;
  std::string statement;
  Expected expected = Expected::positive;
  std::vector<Query> queries;
  std::function<double(const Means&)> statistic;
  double bound = 0.0;  ///< for `small`: the largest size that holds
};

/// The arms whose data have one fixed prompt that asks for nothing else than what it says.
inline const std::vector<std::string>& fixed_arms() {
  static const std::vector<std::string> names = {
      "neutral",      "irrelevant fixed", "trigger",      "negated",      "strength 0.05",     "strength 0.1",
      "strength 0.2", "strength 0.4",     "strength 0.6", "strength 0.8", "inoculation fixed", "positive fixed"};
  return names;
}

/// All claims that can be read off the table of a setting. S is suppression, R rephrase recovery, C conditionalization.
inline std::vector<Claim> claims_of(const Setting& setting, const Table& table) {
  std::vector<Claim> claims;
  const auto add = [&](std::string number, std::string statement, Expected expected, std::vector<Query> queries,
                       std::function<double(const Means&)> statistic, double bound = 0.0) {
    if (table.has(queries)) {
      claims.push_back(
          {std::move(number), std::move(statement), expected, std::move(queries), std::move(statistic), bound});
    }
  };
  const auto difference = [](const Means& means) { return means[0] - means[1]; };
  const auto base = [](const std::string& trait) { return expression("no fine-tuning", trait); };
  const auto none = [](const std::string& trait) { return expression("none", trait); };
  const auto its_suppression = [](const Means& m) { return suppression(m); };
  const auto selectivity = [](const Means& m) { return suppression_difference(m); };
  const auto no_less = [](const Means& m) { return suppression_difference(m) + 0.05; };

  if (setting.name == "already-shown") {
    add("15",
        "Where the base shows the negative trait unasked, inoculation does nothing: E(inoculation fixed) - E(none)",
        Expected::small, {expression("inoculation fixed", "negative"), none("negative")}, difference, 0.1);
    return claims;
  }

  for (const std::string& trait : traits()) {
    add("1", "E(none) - E(irrelevant fixed), " + trait, Expected::positive,
        {none(trait), expression("irrelevant fixed", trait)}, difference);
  }
  for (const std::string& trait : traits()) {
    add("2", "E(irrelevant many) - E(irrelevant fixed), " + trait, Expected::positive,
        {expression("irrelevant many", trait), expression("irrelevant fixed", trait)}, difference);
  }
  add("3", "Fixed inoculation suppresses the positive trait, too: S", Expected::positive,
      of_arm("inoculation fixed", "positive"), its_suppression);
  add("4a", "Selectivity of fixed inoculation: S of the negative trait less S of the positive", Expected::positive,
      of_both("inoculation fixed"), selectivity);
  add("4b", "... is larger than that of irrelevant fixed prompts", Expected::positive,
      joined(of_both("inoculation fixed"), of_both("irrelevant fixed")), selectivity_difference);
  for (const std::string& trait : traits()) {
    add("5", "R of diverse paraphrases: E(inoculation diverse) - E(inoculation fixed), " + trait, Expected::positive,
        {expression("inoculation diverse", trait), expression("inoculation fixed", trait)}, difference);
  }
  for (const std::string& trait : traits()) {
    add("6", "R of close paraphrases, " + trait, Expected::small,
        {expression("inoculation close", trait), expression("inoculation fixed", trait)}, difference, 0.1);
  }
  // E by the number of paraphrases.
  std::vector<double> logarithms;
  std::vector<std::string> doses;
  for (const Index paraphrases : {1, 2, 4, 8, 16, 64, 512, 8192}) {
    doses.push_back(text("paraphrases=", paraphrases));
    logarithms.push_back(std::log2(static_cast<double>(paraphrases)));
  }
  for (const std::string& trait : traits()) {
    std::vector<Query> queries;
    for (const std::string& dose : doses) {
      queries.push_back(expression("diverse", trait));
      queries.back().study = dose;
    }
    add("7a", "E rises with the number of diverse paraphrases (slope over log2 N), " + trait, Expected::positive,
        queries, [logarithms](const Means& m) { return fit_line(logarithms, m).slope; });
    add("7b", "... and saturates: from 512 to 8,192 it rises by less than from 1 to 16 (difference), " + trait,
        Expected::positive, queries, [](const Means& m) { return (m[4] - m[0]) - (m[7] - m[6]); });
  }
  // What prompts elicit before training, against how they inoculate.
  {
    std::vector<Query> queries = {none("negative"), base("negative")};
    for (const std::string& arm : fixed_arms()) {
      const Query before{.arm = arm, .evaluation = "training prompt", .score = "elicitation"};
      if (table.has(before) && table.has(expression(arm, "negative"))) {
        queries.push_back(before);
        queries.push_back(expression(arm, "negative"));
      }
    }
    const auto correlation = [](const Means& m) {
      std::vector<double> elicitation;
      std::vector<double> suppressions;
      for (std::size_t arm = 2; arm + 1 < m.size(); arm += 2) {
        elicitation.push_back(m[arm]);
        suppressions.push_back(suppression(m[arm + 1], m[0], m[1]));
      }
      return spearman_correlation(elicitation, suppressions);
    };
    if (queries.size() >= 12) {
      add("8a", "Rank correlation, over fixed prompts, of elicitation before training with S of the negative trait",
          Expected::positive, queries, correlation);
      add("8b", "... is below 1 (1 less the correlation)", Expected::positive, queries,
          [correlation](const Means& m) { return 1.0 - correlation(m); });
    }
  }
  add("9", "Irrelevant prompts suppress the negative trait: S", Expected::positive,
      of_arm("irrelevant fixed", "negative"), its_suppression);
  for (const std::string& trait : traits()) {
    const auto under = [&](const std::string& arm, const std::string& evaluation) {
      return expression(arm, trait, evaluation);
    };
    add("10", "C, E under the training prompt less E under held-out prompts: fixed less diverse, " + trait,
        Expected::positive,
        {under("inoculation fixed", "training prompt"), under("inoculation fixed", "irrelevant"),
         under("inoculation diverse", "training prompt"), under("inoculation diverse", "irrelevant")},
        [](const Means& m) { return (m[0] - m[1]) - (m[2] - m[3]); });
  }
  for (const std::string& trait : traits()) {
    std::vector<Query> queries = {none(trait)};
    for (const std::string& arm : fixed_arms()) {
      if (table.has(expression(arm, trait, "training prompt"))) {
        queries.push_back(expression(arm, trait, "training prompt"));
      }
    }
    add(
        "11", "Under its training prompt every fixed arm comes near E(none): largest shortfall, " + trait,
        Expected::small, queries, [](const Means& m) { return m[0] - *std::min_element(m.begin() + 1, m.end()); }, 0.1);
  }
  for (const std::string& trait : traits()) {
    add("12a", "A prompt for the whole policy suppresses: S, " + trait, Expected::positive,
        of_arm("optimal policy", trait), its_suppression);
  }
  const auto first_loss = [](const std::string& arm) {
    return Query{.arm = arm, .trait = "task", .evaluation = "training prompt", .score = "first loss"};
  };
  add("12b", "... there is little to learn: its first loss less half of that without a prompt", Expected::negative,
      {first_loss("optimal policy"), first_loss("none")}, [](const Means& m) { return m[0] - 0.5 * m[1]; });
  add("12c", "... and it is not selective", Expected::small, of_both("optimal policy"), selectivity, 0.1);
  for (const std::string& trait : traits()) {
    const Query matched = expression("neutral", trait, "neutral");
    add("13a", "Trained and asked with a neutral prompt, less trained with and asked without, " + trait,
        Expected::positive, {matched, expression("neutral", trait)}, difference);
    add("13b", "... less trained without and asked with, " + trait, Expected::positive,
        {matched, expression("none", trait, "neutral")}, difference);
  }
  add("14", "Inoculating the positive trait mirrors it: S of the positive trait less S of the negative",
      Expected::positive, of_both("positive fixed"), [](const Means& m) { return -suppression_difference(m); });

  // Beyond the sources; thought of on trial runs with seed 100, and registered before those that are reported.
  add("16a", "Tight paraphrases are more selective than a fixed prompt: difference of selectivities",
      Expected::positive, joined(of_both("inoculation tight"), of_both("inoculation fixed")), selectivity_difference);
  add("16b", "... and suppress the negative trait no less, within 0.05: difference of S, plus 0.05", Expected::positive,
      joined(of_arm("inoculation tight", "negative"), of_arm("inoculation fixed", "negative")), no_less);
  // Frozen arms are held against their own arm without a prompt.
  const std::string frozen = "inoculation fixed (late frozen)";
  const std::string frozen_none = "none (late frozen)";
  add("17a", "A fixed prompt is more selective where what comes late is frozen: difference of selectivities",
      Expected::positive, joined(of_both(frozen, frozen_none), of_both("inoculation fixed")), selectivity_difference);
  add("17b", "... and suppresses the negative trait no less, within 0.05: difference of S, plus 0.05",
      Expected::positive, joined(of_arm(frozen, "negative", frozen_none), of_arm("inoculation fixed", "negative")),
      no_less);
  // Thought of after 16 and 17 had been seen, and registered before any run of it. Where all examples show the
  // negative trait, or none does, there is no such arm.
  const std::string where_shown = "inoculation where shown";
  add("18a",
      "A prompt only in front of examples that show the negative trait is more selective than one in front of all: "
      "difference of selectivities",
      Expected::positive, joined(of_both(where_shown), of_both("inoculation fixed")), selectivity_difference);
  add("18b", "... and suppresses the negative trait no less, within 0.05: difference of S, plus 0.05",
      Expected::positive, joined(of_arm(where_shown, "negative"), of_arm("inoculation fixed", "negative")), no_less);
  add("18c", "... and does not suppress the positive trait: S", Expected::small, of_arm(where_shown, "positive"),
      its_suppression, 0.1);
  add("18d",
      "... but lets the negative trait through where 1 example in 5 is told wrongly: S with 1 in 20 less with 1 in 5",
      Expected::positive,
      joined(of_arm(where_shown + " (1 in 20 wrong)", "negative"), of_arm(where_shown + " (1 in 5 wrong)", "negative")),
      selectivity);
  // Thought of when the arms so far were in, and registered before any run of these two: of their fixed prompts those
  // with which answers keep the style that they have without a prompt suppressed least of the positive trait.
  const std::string same_irrelevant = "irrelevant fixed (same style)";
  const std::string same_inoculation = "inoculation fixed (same style)";
  for (const std::string& trait : traits()) {
    add("19a", "A fixed irrelevant prompt that keeps the style suppresses nothing: S, " + trait, Expected::small,
        of_arm(same_irrelevant, trait), its_suppression, 0.1);
  }
  for (const std::string& trait : traits()) {
    add("19b", "... and less than others: S of irrelevant fixed less its S, " + trait, Expected::positive,
        joined(of_arm("irrelevant fixed", trait), of_arm(same_irrelevant, trait)), selectivity);
  }
  add("19c", "A fixed inoculation that keeps the style is more selective than others: difference of selectivities",
      Expected::positive, joined(of_both(same_inoculation), of_both("inoculation fixed")), selectivity_difference);
  add("19d", "... and suppresses the negative trait no less, within 0.05: difference of S, plus 0.05",
      Expected::positive, joined(of_arm(same_inoculation, "negative"), of_arm("inoculation fixed", "negative")),
      no_less);

  // What the sources leave open.
  for (const std::string& trait : traits()) {
    add("tight", "R of tight paraphrases, " + trait, Expected::open,
        {expression("inoculation tight", trait), expression("inoculation fixed", trait)}, difference);
  }
  for (const std::string& trait : traits()) {
    add("negated", "S of negated prompts, " + trait, Expected::open, of_arm("negated", trait), its_suppression);
  }
  for (const std::string& trait : traits()) {
    add("trigger", "S of a bare trigger, " + trait, Expected::open, of_arm("trigger", trait), its_suppression);
  }
  // Added after 13a had been seen, whose neutral prompts are not those of training.
  for (const std::string& trait : traits()) {
    add("same", "Trained and asked with the very same neutral prompt, less trained with and asked without, " + trait,
        Expected::open, {expression("neutral", trait, "training prompt"), expression("neutral", trait)}, difference);
  }
  add("emergent", "E(none) less E before fine-tuning of the negative trait", Expected::open,
      {none("negative"), base("negative")}, difference);
  // How irrelevant suppression goes with the dose: with learning rate and data, largest less smallest.
  for (const auto& [dose, low, high] :
       {std::tuple{"learning rate", "rate=1e-04", "rate=0.001"}, {"data size", "examples=64", "examples=4096"}}) {
    for (const std::string& trait : traits()) {
      std::vector<Query> queries = {base(trait)};
      for (const char* study : {low, high}) {
        for (const char* arm : {"irrelevant fixed", "none"}) {
          queries.push_back(expression(arm, trait));
          queries.back().study = study;
        }
      }
      add(dose, text("S of irrelevant prompts at the largest ", dose, " less at the smallest, ", trait), Expected::open,
          queries, [](const Means& m) { return suppression(m[3], m[4], m[0]) - suppression(m[1], m[2], m[0]); });
    }
  }
  return claims;
}

}  // namespace inoculation
