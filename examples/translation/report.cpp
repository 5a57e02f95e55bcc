#include "report.hpp"

#include "../shared/table_file.hpp"
#include "claims.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>
#include <sstream>
#include <utility>

namespace translation {

namespace {

void write_shared_words(const std::filesystem::path& path, const std::vector<SharedWords>& groups) {
  std::ostringstream stream;
  CsvWriter writer(stream,
                   {"seed", "stage", "language", "shared_words", "prompts", "probability_before", "probability_after"});
  for (const SharedWords& group : groups) {
    writer.row(group.seed, group.stage, group.language, group.shared_words, group.prompts, group.probability_before,
               group.probability_after);
  }
  write_atomically(path, stream.str());
}

/// A point for every x, its estimate the mean over seeds, with Student's interval where there are several.
Series series_over(std::string name, const std::vector<double>& x, const std::vector<std::uint64_t>& seeds,
                   const std::function<double(std::uint64_t, double)>& estimate,
                   SeriesStyle style = SeriesStyle::line_points) {
  Series series{.name = std::move(name), .style = style};
  for (const double place : x) {
    const Interval interval = over_seeds(seeds, [&](std::uint64_t seed) { return estimate(seed, place); });
    series.x.push_back(place);
    series.y.push_back(interval.estimate);
    if (style == SeriesStyle::line_points) {
      series.low.push_back(interval.low);
      series.high.push_back(interval.high);
    }
  }
  return series;
}

std::string title_of(const std::string& skill) {
  return skill == "exemplars" ? "answers by exemplars" : "answers by dictionary";
}

double bayes_accuracy(const Settings& settings, const std::string& skill) {
  const BayesAccuracy bayes(settings);
  return skill == "exemplars" ? bayes.exemplars : bayes.dictionary;
}

/// Figure 1: accuracy by language, before and after fine-tuning in language 1, and after fine-tuning in all.
Figure language_figure(const Settings& settings, const Table& table) {
  std::vector<double> languages = settings.similarities;
  languages.push_back(1.0);
  Figure figure{.title = "Two skills by language: fine-tuned on the dictionary in language 1",
                .x_axis = {.label = "share of words that language 1 has, too (1: language 1)"},
                .y_axis = {.label = "accuracy", .minimum = 0.0, .maximum = 1.0},
                .share_y = true};
  for (const std::string skill : {"exemplars", "dictionary"}) {
    const auto at = [&](const std::string& name, const std::string& stage) {
      return series_over(name, languages, table.seeds(), [&](std::uint64_t seed, double language) {
        return table.at({seed, stage, skill, language, no_translation});
      });
    };
    figure.panels.push_back(
        {.title = title_of(skill),
         .series = {at("pretrained", "pretrained"), at("fine-tuned in language 1", "fine-tuned"),
                    at("fine-tuned in all languages (control)", "fine-tuned in all"),
                    at("fine-tuned in the most distant (control)", "fine-tuned in the most distant"),
                    series_over(
                        "Bayes-optimal", languages, table.seeds(),
                        [&](std::uint64_t, double) { return bayes_accuracy(settings, skill); }, SeriesStyle::dashed)}});
  }
  return figure;
}

/// Figure 2: prompts of language 1, asked in translation, by the share of words that the translation changes.
Figure recovery_figure(const Settings& settings, const Table& table) {
  Figure figure{.title = "Conjugate prompting in language 1: translate, predict, translate back",
                .x_axis = {.label = "share of words that are translated"},
                .y_axis = {.label = "accuracy in language 1", .minimum = 0.0, .maximum = 1.0},
                .share_y = true};
  // By language, since 1 - (1 - similarity) need not have the bits of the similarity; 1 is language 1 itself.
  std::vector<double> languages = settings.similarities;
  languages.push_back(1.0);
  for (const std::string skill : {"exemplars", "dictionary"}) {
    const auto by = [&](const std::string& name, const std::string& stage, bool is_partial) {
      Series series = series_over(name, languages, table.seeds(), [&](std::uint64_t seed, double language) {
        const std::string translation = language == 1.0                ? no_translation
                                        : is_partial && language > 0.0 ? partial_translation(1.0 - language)
                                                                       : translation_to(language);
        return table.at({seed, stage, skill, 1.0, translation});
      });
      for (double& share : series.x) {
        share = 1.0 - share;
      }
      return series;
    };
    figure.panels.push_back({.title = title_of(skill),
                             .series = {by("pretrained (control)", "pretrained", false),
                                        by("fine-tuned, to another language", "fine-tuned", false),
                                        by("fine-tuned in all (control)", "fine-tuned in all", false),
                                        by("fine-tuned, some words to the most distant", "fine-tuned", true),
                                        by("pretrained, some words to the most distant", "pretrained", true)}});
  }
  return figure;
}

/// Figure 3: the drop by the similarity of languages, and of prompts.
Figure drop_figure(const Settings& settings, const Table& table, const std::vector<SharedWords>& groups) {
  std::vector<double> languages = settings.similarities;
  languages.push_back(1.0);
  const auto drop = [&](const std::string& name, const std::string& stage) {
    return series_over(name, languages, table.seeds(), [&, stage](std::uint64_t seed, double language) {
      const auto accuracy = [&](const std::string& moment) {
        return table.at({seed, moment, "exemplars", language, no_translation});
      };
      return accuracy("pretrained") - accuracy(stage);
    });
  };
  // Numbers of shared words that few prompts have are left to the table.
  Panel prompts{.title = "by the words of a prompt that language 1 has"};
  for (const double language : languages) {
    std::set<Index> numbers;
    for (const SharedWords& group : groups) {
      if (group.language == language && group.stage == "fine-tuned" && 50 * group.prompts >= settings.prompts) {
        numbers.insert(group.shared_words);
      }
    }
    Series series{.name = language == 1.0 ? "language 1" : "language " + shortest_text(language),
                  .style = SeriesStyle::line_points};
    for (const Index number : numbers) {
      std::vector<double> drops;
      for (const SharedWords& group : groups) {
        if (group.language == language && group.stage == "fine-tuned" && group.shared_words == number) {
          drops.push_back(group.probability_before - group.probability_after);
        }
      }
      const Interval interval = drops.size() > 1 ? student_interval(drops) : Interval{.estimate = drops.front()};
      series.x.push_back(static_cast<double>(number) / static_cast<double>(settings.length()));
      series.y.push_back(interval.estimate);
      series.low.push_back(interval.low);
      series.high.push_back(interval.high);
    }
    prompts.series.push_back(std::move(series));
  }
  return {.title = "Forgetting to answer by exemplars, by similarity to the language of fine-tuning",
          .x_axis = {.label = "share of words that language 1 has, too"},
          .y_axis = {.label = "drop of accuracy (left), of probability (right)", .minimum = -0.2, .maximum = 1.0},
          .share_y = true,
          .panels = {{.title = "by language",
                      .series = {drop("fine-tuned in language 1", "fine-tuned"),
                                 drop("fine-tuned in all languages (control)", "fine-tuned in all")}},
                     prompts}};
}

/// Accuracies of every language, or of language 1 through every translation, at all moments: means over seeds.
std::string accuracy_table(const Table& table, const std::string& header,
                           const std::vector<std::pair<std::string, Query>>& rows) {
  const std::vector<std::string> stages = {"pretrained", "fine-tuned", "fine-tuned in all",
                                           "fine-tuned in the most distant"};
  MarkdownTable markdown({header, "exemplars: pretrained", "fine-tuned", "in all", "in the most distant",
                          "dictionary: pretrained", "fine-tuned", "in all", "in the most distant"});
  for (const auto& [name, query] : rows) {
    const auto at = [&, &what = query](const std::string& skill, std::size_t stage) {
      const auto of_seed = [&](std::uint64_t seed) {
        return table.at({seed, stages[stage], skill, what.language, what.translation});
      };
      return over_seeds(table.seeds(), of_seed).estimate;
    };
    markdown.row(name, at("exemplars", 0), at("exemplars", 1), at("exemplars", 2), at("exemplars", 3),
                 at("dictionary", 0), at("dictionary", 1), at("dictionary", 2), at("dictionary", 3));
  }
  return markdown.markdown();
}

/// The summary: settings, claims, accuracies.
std::string summary(const Settings& settings, const Table& table, const std::string& command) {
  std::ostringstream stream;
  const auto& seeds = table.seeds();
  const BayesAccuracy bayes(settings);
  stream << "# Conjugate prompting by translation: " << settings.preset << "\n\n"
         << "`" << command << "`\n\n"
         << "Languages of " << settings.words << " words: language 1, and others that share";
  for (std::size_t index = 0; index < settings.similarities.size(); ++index) {
    stream << (index == 0 ? " " : ", ") << shortest_text(settings.similarities[index]);
  }
  stream
      << " of its words. Prompts: " << settings.exemplars
      << " exemplars and a query. Pretraining, in all languages: " << settings.steps << " steps of " << settings.batch
      << " prompts, learning rate " << shortest_text(settings.learning_rate) << " (cosine); "
      << shortest_text(settings.dictionary_weight) << " of them are answered by the dictionary, and "
      << shortest_text(settings.conflict)
      << " of these have another answer in their exemplars. Fine-tuning on the dictionary in language 1: "
      << settings.fine_tune_steps << " steps at " << shortest_text(settings.fine_tune_rate) << ". Model: width "
      << settings.width << ", " << settings.layers << " layers, " << settings.heads << " heads. " << seeds.size()
      << (seeds.size() == 1 ? " seed" : " seeds") << ", each with its own languages, dictionary, weights and data; "
      << settings.prompts << " evaluation prompts of each skill, the same in every language.\n\n"
      << "Bayes-optimal accuracy of answers drawn from the posterior: " << significant_text(bayes.exemplars)
      << " by exemplars, " << significant_text(bayes.dictionary) << " by the dictionary.\n\n"
      << "## Claims\n\nThe expected sign stands in `examples/translation/claims.hpp`, written before the run. A claim "
         "held if Student's interval over the seeds excludes 0 on the expected side, or stays within the bound. "
         "Asked in translation, a prompt of language 1 is that prompt in the other language (5c, exact by "
         "construction), so the recovery of 4a and the smaller drop of 3a and 3b are one fact, seen from two "
         "sides.\n\n";
  MarkdownTable claims({"claim", "statement", "expected", "estimate", "95% Student", "outcome"});
  for (const Claim& claim : claims_of(settings, table)) {
    const Interval interval = over_seeds(seeds, claim.estimate);
    claims.row(claim.number, claim.statement, expected_text(claim), significant_text(interval.estimate),
               interval_text(interval), verdict(claim, interval));
  }
  stream << claims.markdown();

  std::vector<std::pair<std::string, Query>> languages = {{"1", {.language = 1.0, .translation = no_translation}}};
  std::vector<std::pair<std::string, Query>> translations = {
      {no_translation, {.language = 1.0, .translation = no_translation}}};
  const auto add = [&](const std::string& name) { translations.push_back({name, {.translation = name}}); };
  const std::vector<double> falling(settings.similarities.rbegin(), settings.similarities.rend());
  for (const double language : falling) {
    languages.push_back({shortest_text(language), {.language = language, .translation = no_translation}});
    add(translation_to(language));
  }
  for (const double language : settings.partly_similar()) {
    add(partial_translation(1.0 - language));
  }
  add(permutation_of_words);
  add(dictionary_of_words);
  add(unknown_language);
  stream
      << "\n## Accuracy by language\n\nLanguages are named by the share of words that they have in common with "
         "language 1.\n\n"
      << accuracy_table(table, "language", languages)
      << "\n## Accuracy in language 1, asked in translation\n\n\"partial 0.25\" translates a quarter of the words to "
         "the most distant language and leaves the others.\n\n"
      << accuracy_table(table, "translation", translations);
  return stream.str();
}

}  // namespace

std::vector<SharedWords> read_shared_words(const std::filesystem::path& path) {
  std::vector<SharedWords> groups;
  for (const CsvRow& row : read_table(path, 7)) {
    const std::vector<std::string>& fields = row.fields;
    groups.push_back({std::stoull(fields[0]), fields[1], std::stod(fields[2]), std::stoll(fields[3]),
                      std::stoll(fields[4]), std::stod(fields[5]), std::stod(fields[6])});
  }
  return groups;
}

std::string write_report(const Settings& settings, const Results& results, const std::string& command) {
  const std::filesystem::path folder = settings.output;
  write_measurements(folder / "translation.csv", results.measurements);
  write_shared_words(folder / "shared_words.csv", results.shared_words);
  const Table table(results.measurements);
  write_atomically(folder / "summary.md", summary(settings, table, command));
  const FigureResult main_figure = write_figure(language_figure(settings, table), folder / "accuracy_by_language");
  static_cast<void>(write_figure(recovery_figure(settings, table), folder / "recovery_by_translation"));
  static_cast<void>(write_figure(drop_figure(settings, table, results.shared_words), folder / "drop_by_similarity"));
  return main_figure.message;
}

void print_claims(const Settings& settings, const std::vector<Measurement>& measurements) {
  const Table table(measurements);
  std::printf("\n%-5s %-10s %-18s %s\n", "claim", "estimate", "95% Student", "outcome: statement");
  for (const Claim& claim : claims_of(settings, table)) {
    const Interval interval = over_seeds(table.seeds(), claim.estimate);
    std::printf("%-5s %-10s %-18s %s: %s\n", claim.number.c_str(), significant_text(interval.estimate).c_str(),
                interval_text(interval).c_str(), verdict(claim, interval).c_str(), claim.statement.c_str());
  }
}

}  // namespace translation
