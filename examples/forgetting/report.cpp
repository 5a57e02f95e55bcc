#include "report.hpp"

#include "../shared/table_file.hpp"
#include "claims.hpp"

#include <incontext/io/atomic_file.hpp>
#include <incontext/report/bootstrap.hpp>
#include <incontext/report/csv.hpp>
#include <incontext/report/figure.hpp>
#include <incontext/report/markdown.hpp>
#include <incontext/report/statistics.hpp>

#include <cstdio>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace forgetting {

namespace {

void write_likelihoods(const std::filesystem::path& path, const std::vector<LikelihoodPoint>& points) {
  std::ostringstream stream;
  CsvWriter writer(stream, {"study", "seed", "log_likelihood", "error_before", "error_after"});
  for (const LikelihoodPoint& point : points) {
    writer.row(point.study, point.seed, point.log_likelihood, point.error_before, point.error_after);
  }
  write_atomically(path, stream.str());
}

/// A curve by exemplars: the mean over seeds, with a band where there are several.
Series curve(const Table& table, const std::vector<std::uint64_t>& seeds, std::string name, Table::Query query,
             SeriesStyle style, Index first = 0) {
  Series series{.name = std::move(name), .style = style};
  query.seed = seeds.front();
  const auto length = static_cast<Index>(table.by_exemplars(query).size());
  for (Index exemplars = first; exemplars < length; ++exemplars) {
    const Interval interval = over_seeds(seeds, [&](std::uint64_t seed) {
      Table::Query one = query;
      one.seed = seed;
      return table.mean(one, exemplars, exemplars);
    });
    series.x.push_back(static_cast<double>(exemplars));
    series.y.push_back(interval.estimate);
    if (style == SeriesStyle::line) {
      series.low.push_back(interval.low);
      series.high.push_back(interval.high);
    }
  }
  return series;
}

/// Figure 1: error by exemplars, before and after fine-tuning, beside the closed forms.
Figure error_figure(const Settings& settings, const Table& table, const std::string& study) {
  const auto seeds = table.seeds(study);
  Figure figure{.title = "Forgetting and recovery by number of exemplars",
                .x_axis = {.label = "exemplars in the prompt"},
                .y_axis = {.label = "squared error against the noiseless target", .minimum = 0.0},
                .share_y = true};
  const std::string mild = "scale " + shortest_text(settings.gammas.front());
  for (const std::string task : {"D_cont", "D_disc"}) {
    const auto model = [&](const std::string& name, const std::string& stage) {
      return curve(table, seeds, name, {.study = study, .stage = stage, .task = task}, SeriesStyle::line);
    };
    const auto reference = [&](const std::string& name, const std::string& predictor) {
      return curve(table, seeds, name, {.study = study, .stage = "pretrained", .task = task, .predictor = predictor},
                   SeriesStyle::dashed);
    };
    figure.panels.push_back(
        {.title = task == "D_cont" ? "fresh tasks, D_cont" : "the pool's tasks, D_disc",
         .series = {model("pretrained", "pretrained"), model("fine-tuned on D_disc", "fine-tuned"),
                    model("fine-tuned, labels x " + shortest_text(settings.gammas.front()), "fine-tuned | " + mild),
                    reference("ridge", "ridge"), reference("pool posterior", "pool_posterior"),
                    reference("mixture posterior", "mixture_posterior")}});
  }
  return figure;
}

/// Figure 2: each prompt's forgetting by its likelihood under the fine-tuning distribution.
Figure likelihood_figure(const Settings& settings, const std::vector<LikelihoodPoint>& points,
                         const std::string& study) {
  Series dots{.name = "one prompt of D_cont", .style = SeriesStyle::dots};
  for (const LikelihoodPoint& point : points) {
    if (point.study == study) {
      dots.x.push_back(point.log_likelihood);
      dots.y.push_back(point.error_after - point.error_before);
    }
  }
  const BinnedMeans bins = binned_means(dots.x, dots.y, 20);
  Series means{.name = "mean of a twentieth of the prompts, 95% interval", .style = SeriesStyle::line_points};
  for (std::size_t bin = 0; bin < bins.x.size(); ++bin) {
    means.x.push_back(bins.x[bin]);
    means.y.push_back(bins.y[bin]);
    means.low.push_back(bins.y[bin] - 1.96 * bins.standard_error[bin]);
    means.high.push_back(bins.y[bin] + 1.96 * bins.standard_error[bin]);
  }
  // A few prompts lie far out; the axis shows where nearly all are, and the table holds the rest.
  const auto sorted = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values;
  };
  const std::vector<double> rises = sorted(dots.y);
  return {.title = text("Forgetting at ", settings.likelihood_exemplars, " exemplars by likelihood of the prompt"),
          .x_axis = {.label = "log p_disc of the labels (nats)", .minimum = quantile(sorted(dots.x), 0.005)},
          .y_axis = {.label = "rise of the squared error by fine-tuning",
                     .minimum = quantile(rises, 0.005),
                     .maximum = quantile(rises, 0.995)},
          .panels = {{.series = {dots, means}}}};
}

/// Figure 3: recovery by gamma at 1-3 exemplars, with its controls.
Figure recovery_figure(const Settings& settings, const Table& table, const std::string& study) {
  const auto seeds = table.seeds(study);
  Figure figure{.title = "Conjugate prompting: labels x gamma in, prediction / gamma out (1-3 exemplars)",
                .x_axis = {.label = "gamma"},
                .y_axis = {.label = "squared error against the noiseless target", .minimum = 0.0},
                .share_y = false};
  for (const std::string task : {"D_cont", "D_disc"}) {
    const auto by_gamma = [&](std::string name, const std::string& stage, const std::string& predictor,
                              SeriesStyle style) {
      Series series{.name = std::move(name), .style = style};
      std::vector<double> gammas = settings.gammas;
      gammas.insert(gammas.begin(), 1.0);
      for (const double gamma : gammas) {
        const std::string map = gamma == 1.0 ? "" : " | scale " + shortest_text(gamma);
        const Interval interval = over_seeds(seeds, [&](std::uint64_t seed) {
          return table.mean({.study = study, .seed = seed, .stage = stage + map, .task = task, .predictor = predictor},
                            1, 3);
        });
        series.x.push_back(gamma);
        series.y.push_back(interval.estimate);
        if (style == SeriesStyle::line_points) {
          series.low.push_back(interval.low);
          series.high.push_back(interval.high);
        }
      }
      return series;
    };
    figure.panels.push_back(
        {.title = task == "D_cont" ? "fresh tasks, D_cont" : "the pool's tasks, D_disc",
         .series = {by_gamma("pretrained (control)", "pretrained", "transformer", SeriesStyle::line_points),
                    by_gamma("fine-tuned on D_disc", "fine-tuned", "transformer", SeriesStyle::line_points),
                    by_gamma("ridge (control)", "fine-tuned", "ridge", SeriesStyle::dashed),
                    by_gamma("pool posterior (control)", "fine-tuned", "pool_posterior", SeriesStyle::dashed)}});
  }
  return figure;
}

/// Figure 4: the posterior odds that the outputs show.
Figure odds_figure(const Settings& settings, const Table& table, const std::string& study) {
  const auto seeds = table.seeds(study);
  const auto fitted = [&](const std::string& name, const std::string& stage) {
    return curve(table, seeds, name,
                 {.study = study, .stage = stage, .task = "D_cont", .metric = "fitted_pool_probability"},
                 SeriesStyle::line, 1);
  };
  Figure figure{
      .title = "The pool probability that the outputs show, on fresh tasks",
      .x_axis = {.label = "exemplars in the prompt"},
      .y_axis = {.label = "fitted probability of the pool, g"},
      .panels = {{.series = {fitted("pretrained", "pretrained"), fitted("fine-tuned on D_disc", "fine-tuned")}}}};
  for (const double gamma : settings.gammas) {
    figure.panels.front().series.push_back(
        fitted("fine-tuned, labels x " + shortest_text(gamma), "fine-tuned | scale " + shortest_text(gamma)));
  }
  return figure;
}

/// The table of errors by exemplars of one study, with the Bayes-optimal columns.
std::string error_table(const Table& table, const Settings& settings, const std::string& study,
                        const std::string& task) {
  const auto seeds = table.seeds(study);
  const std::string mild = " | scale " + shortest_text(settings.gammas.front());
  MarkdownTable markdown({"exemplars", "ridge", "pool posterior", "mixture posterior", "pretrained", "fine-tuned",
                          "fine-tuned" + mild, "pretrained" + mild});
  for (Index exemplars = 0; exemplars <= settings.exemplars; ++exemplars) {
    const auto at = [&](const std::string& stage, const std::string& predictor) {
      return over_seeds(seeds,
                        [&](std::uint64_t seed) {
                          return table.mean(
                              {.study = study, .seed = seed, .stage = stage, .task = task, .predictor = predictor},
                              exemplars, exemplars);
                        })
          .estimate;
    };
    markdown.row(exemplars, at("pretrained", "ridge"), at("pretrained", "pool_posterior"),
                 at("pretrained", "mixture_posterior"), at("pretrained", "transformer"),
                 at("fine-tuned", "transformer"), at("fine-tuned" + mild, "transformer"),
                 at("pretrained" + mild, "transformer"));
  }
  return markdown.markdown();
}

/// The summary: settings, claims, errors.
std::string summary(const Settings& settings, const Table& table, const std::string& command) {
  std::ostringstream stream;
  const auto seeds = table.seeds(study_name(settings.alphas.front()));
  stream << "# Forgetting as implicit inference: " << settings.preset << "\n\n"
         << "`" << command << "`\n\n"
         << "Prompts: d = " << settings.dimension << ", 0 to " << settings.exemplars << " exemplars, noise "
         << shortest_text(settings.noise) << ", a pool of " << settings.pool << " tasks. Model: width "
         << settings.width << ", " << settings.layers << " layers, " << settings.heads
         << " heads. Pretraining: " << settings.steps << " steps of " << settings.batch << " prompts, learning rate "
         << shortest_text(settings.learning_rate) << " (" << settings.schedule
         << "). Fine-tuning: " << settings.fine_tune_steps << " steps at " << shortest_text(settings.fine_tune_rate)
         << ". " << seeds.size() << (seeds.size() == 1 ? " seed" : " seeds")
         << ", each with its own pool, weights and data; " << settings.prompts << " evaluation prompts a task.\n\n"
         << "## Claims\n\nThe expected sign stands in `examples/forgetting/claims.hpp`, written before the run. "
            "Errors are squared, against the noiseless target, averaged over the numbers of exemplars. The bootstrap "
            "interval resamples the seeds; Student's is wider and right for few seeds, and decides: a claim held if "
            "it excludes 0 on the expected side, or stays within the bound.\n\n";
  MarkdownTable claims(
      {"claim", "study", "statement", "expected", "estimate", "95% bootstrap", "95% Student", "outcome"});
  for (const Claim& claim : claims_of(settings, table)) {
    std::vector<double> values;
    for (const std::uint64_t seed : table.seeds(claim.study)) {
      values.push_back(claim.estimate(seed));
    }
    const Interval bootstrap = bootstrap_interval(values, Key(0).fold("claims"));
    const Interval student = values.size() > 1 ? student_interval(values) : bootstrap;
    claims.row(claim.number, claim.study, claim.statement, expected_text(claim), significant_text(student.estimate),
               interval_text(bootstrap), interval_text(student), verdict(claim, student));
  }
  stream << claims.markdown();
  for (const double alpha : settings.alphas) {
    for (const std::string task : {"D_cont", "D_disc"}) {
      stream << "\n## Squared error on " << task << ", " << study_name(alpha) << "\n\n"
             << error_table(table, settings, study_name(alpha), task);
    }
  }
  return stream.str();
}

}  // namespace

std::vector<LikelihoodPoint> read_likelihoods(const std::filesystem::path& path) {
  std::vector<LikelihoodPoint> points;
  for (const CsvRow& row : read_table(path, 5)) {
    points.push_back({row.fields[0], std::stoull(row.fields[1]), std::stod(row.fields[2]), std::stod(row.fields[3]),
                      std::stod(row.fields[4])});
  }
  return points;
}

std::string write_report(const Settings& settings, const Results& results, const std::string& command) {
  const std::filesystem::path folder = settings.output;
  write_records(folder / "forgetting.csv", results.records);
  write_likelihoods(folder / "likelihood.csv", results.likelihoods);
  const Table table(results.records);
  write_atomically(folder / "summary.md", summary(settings, table, command));
  FigureResult main_figure;
  for (const double alpha : settings.alphas) {
    const std::string study = study_name(alpha);
    const std::string suffix = settings.alphas.size() == 1 ? "" : "-alpha-" + shortest_text(alpha);
    const auto draw = [&](const std::string& name, const Figure& figure) {
      return write_figure(figure, folder / (name + suffix));
    };
    const FigureResult errors = draw("error_by_exemplars", error_figure(settings, table, study));
    main_figure = alpha == settings.alphas.front() ? errors : main_figure;
    static_cast<void>(draw("forgetting_by_likelihood", likelihood_figure(settings, results.likelihoods, study)));
    static_cast<void>(draw("recovery_by_gamma", recovery_figure(settings, table, study)));
    static_cast<void>(draw("pool_probability", odds_figure(settings, table, study)));
  }
  return main_figure.message;
}

void print_claims(const Settings& settings, const std::vector<Record>& records) {
  const Table table(records);
  std::printf("\n%-5s %-10s %-10s %-18s %s\n", "claim", "study", "estimate", "95% Student", "outcome: statement");
  for (const Claim& claim : claims_of(settings, table)) {
    const Interval interval = over_seeds(table.seeds(claim.study), claim.estimate);
    std::printf("%-5s %-10s %-10s %-18s %s: %s\n", claim.number.c_str(), claim.study.c_str(),
                significant_text(interval.estimate).c_str(), interval_text(interval).c_str(),
                verdict(claim, interval).c_str(), claim.statement.c_str());
  }
}

}  // namespace forgetting
