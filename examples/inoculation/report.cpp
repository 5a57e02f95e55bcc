#include "report.hpp"

#include "report_figures.hpp"

#include <incontext/io/atomic_file.hpp>

#include <algorithm>
#include <ostream>
#include <sstream>

namespace inoculation {

namespace {

/// One setting's part of the report, and its figures. Returns the path of the main figure, or why there is none.
std::string report_setting(const Options& options, const Setting& setting, const Table& table, std::ostream& stream) {
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

}  // namespace

std::string write_report(const Options& options, const std::vector<Row>& rows, const std::string& command) {
  std::ostringstream stream;
  std::vector<Setting> measured_settings;
  for (const Setting& setting : all_settings()) {
    if (std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.setting == setting.name; })) {
      measured_settings.push_back(setting);
    }
  }
  stream << "# Inoculation prompting and conditionalization: " << options.preset << "\n\n`" << command << "`\n\n"
         << "Model: width " << options.width << ", " << options.layers << " layers, " << options.heads << " heads, "
         << options.precision << ". Pretraining: " << options.steps << " steps of " << options.batch << " examples at "
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
