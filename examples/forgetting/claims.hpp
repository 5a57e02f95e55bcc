#pragma once
/// The claims of the study: each with the sign that was expected before the run, and how it is read off the table.

#include "../shared/claim.hpp"
#include "results.hpp"
#include "settings.hpp"

#include <incontext/core/error.hpp>
#include <incontext/report/bootstrap.hpp>
#include <incontext/report/statistics.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace forgetting {

using namespace studies;

/// The table, for looking numbers up.
class Table {
 public:
  explicit Table(const std::vector<Record>& records) {
    for (const Record& record : records) {
      const Row row{record.study, record.seed, record.stage, record.task, record.predictor, record.metric};
      auto& values = values_[row];
      values.resize((std::max)(values.size(), static_cast<std::size_t>(record.exemplars) + 1),
                    std::numeric_limits<double>::quiet_NaN());
      values[static_cast<std::size_t>(record.exemplars)] = record.value;
      studies_[record.study].insert(record.seed);
    }
  }

  /// What one number is asked for by.
  struct Query {
    std::string study;
    std::uint64_t seed = 0;
    std::string stage;
    std::string task;
    std::string predictor = "transformer";
    std::string metric = "squared_error_target";
  };

  /// By the number of exemplars. \throws ConfigurationError if the table has no such row
  [[nodiscard]] const std::vector<double>& by_exemplars(const Query& query) const {
    const auto found = values_.find({query.study, query.seed, query.stage, query.task, query.predictor, query.metric});
    require(found != values_.end(), "the table has no row ", query.study, ", seed ", query.seed, ", ", query.stage,
            ", ", query.task, ", ", query.predictor, ", ", query.metric);
    return found->second;
  }
  /// The mean over first..last exemplars; last -1 is the most that there are.
  [[nodiscard]] double mean(const Query& query, Index first = 0, Index last = -1) const {
    const std::vector<double>& values = by_exemplars(query);
    const Index end = last < 0 ? static_cast<Index>(values.size()) - 1 : last;
    double sum = 0.0;
    for (Index exemplars = first; exemplars <= end; ++exemplars) {
      sum += values[static_cast<std::size_t>(exemplars)];
    }
    return sum / static_cast<double>(end - first + 1);
  }
  [[nodiscard]] bool has(const Query& query) const {
    return values_.contains({query.study, query.seed, query.stage, query.task, query.predictor, query.metric});
  }
  [[nodiscard]] std::vector<std::uint64_t> seeds(const std::string& study) const {
    const auto found = studies_.find(study);
    return found == studies_.end() ? std::vector<std::uint64_t>{}
                                   : std::vector<std::uint64_t>(found->second.begin(), found->second.end());
  }

 private:
  using Row = std::tuple<std::string, std::uint64_t, std::string, std::string, std::string, std::string>;
  std::map<Row, std::vector<double>> values_;
  std::map<std::string, std::set<std::uint64_t>> studies_;
};

/// The claims 1 to 7 of the study, for the settings that it ran with. Errors are squared, against the noiseless
/// target; "1-3 exemplars" is their mean over these.
inline std::vector<Claim> claims_of(const Settings& settings, const Table& table) {
  std::vector<Claim> claims;
  using Query = Table::Query;
  const auto add = [&](std::string number, std::string statement, Expected expected, const std::string& study,
                       std::function<double(std::uint64_t)> estimate, double bound = 0.0) {
    claims.push_back({std::move(number), std::move(statement), expected, study, std::move(estimate), bound});
  };
  const Index many = settings.exemplars;
  const auto scale = [](double gamma) { return " | scale " + shortest_text(gamma); };

  if (settings.pure) {
    const auto nearer = [&table](const std::string& study, const std::string& task, bool to_ridge) {
      return [&table, study, task, to_ridge](std::uint64_t seed) {
        const Query query{.study = study, .seed = seed, .stage = "pretrained", .task = task};
        Query ridge = query;
        ridge.metric = "squared_distance_to_ridge";
        Query disc = query;
        disc.metric = "squared_distance_to_pool_posterior";
        const double difference = table.mean(disc, 1) - table.mean(ridge, 1);
        return to_ridge ? difference : -difference;
      };
    };
    const auto excess = [&table](const std::string& study, const std::string& task, const std::string& predictor) {
      return [&table, study, task, predictor](std::uint64_t seed) {
        const Query query{.study = study, .seed = seed, .stage = "pretrained", .task = task};
        Query reference = query;
        reference.predictor = predictor;
        return table.mean(query) / table.mean(reference) - 1.0;
      };
    };
    add("1a", "Trained on D_cont only, the model is nearer to ridge than to the pool posterior", Expected::positive,
        study_name(0.0), nearer(study_name(0.0), "D_cont", true));
    add("1b", "... and its error exceeds ridge's by (share of ridge's error)", Expected::positive, study_name(0.0),
        excess(study_name(0.0), "D_cont", "ridge"));
    add("1c", "Trained on D_disc only, the model is nearer to the pool posterior than to ridge", Expected::positive,
        study_name(1.0), nearer(study_name(1.0), "D_disc", false));
    add("1d", "... and its error exceeds the pool posterior's by (share of that error)", Expected::positive,
        study_name(1.0), excess(study_name(1.0), "D_disc", "pool_posterior"));
    const auto slope = [&table, &settings](const std::string& task) {
      return [&table, &settings, task](std::uint64_t seed) {
        std::vector<double> alphas = settings.alphas;
        alphas.insert(alphas.begin(), 0.0);
        alphas.push_back(1.0);
        std::vector<double> errors;
        for (const double alpha : alphas) {
          errors.push_back(table.mean({.study = study_name(alpha), .seed = seed, .stage = "pretrained", .task = task}));
        }
        return fit_line(alphas, errors).slope;
      };
    };
    add("2c", "A higher alpha raises the D_cont error (slope over alpha)", Expected::positive, study_name(1.0),
        slope("D_cont"));
    add("2d", "A higher alpha lowers the D_disc error (slope over alpha)", Expected::negative, study_name(1.0),
        slope("D_disc"));
  }

  for (const double alpha : settings.alphas) {
    const std::string study = study_name(alpha);
    const auto error = [&table, study](std::uint64_t seed, const std::string& stage, const std::string& task,
                                       Index first, Index last, const std::string& predictor = "transformer") {
      return table.mean({.study = study, .seed = seed, .stage = stage, .task = task, .predictor = predictor}, first,
                        last);
    };
    const auto odds = [&table, study](std::uint64_t seed, const std::string& stage) {
      return table.mean(
          {.study = study, .seed = seed, .stage = stage, .task = "D_cont", .metric = "fitted_pool_probability"}, 1);
    };
    const auto gain = [error](std::uint64_t seed, const std::string& stage, const std::string& map,
                              const std::string& task, Index first, Index last) {
      return error(seed, stage, task, first, last) - error(seed, stage + map, task, first, last);
    };
    const double mild = settings.gammas.front();

    add(
        "2a", "Excess of the D_mix error over the mixture posterior's (share of that error)", Expected::small, study,
        [error](std::uint64_t seed) {
          return error(seed, "pretrained", "D_mix", 0, -1) /
                     error(seed, "pretrained", "D_mix", 0, -1, "mixture_posterior") -
                 1.0;
        },
        0.15);
    add("2b",
        "From 3 exemplars on, the D_disc error is nearer to the pool posterior's than to ridge's (smallest margin)",
        Expected::positive, study, [error, many](std::uint64_t seed) {
          double margin = std::numeric_limits<double>::infinity();
          for (Index k = 3; k <= many; ++k) {
            const double mine = error(seed, "pretrained", "D_disc", k, k);
            const double disc = error(seed, "pretrained", "D_disc", k, k, "pool_posterior");
            const double ridge = error(seed, "pretrained", "D_disc", k, k, "ridge");
            margin = (std::min)(margin, std::abs(mine - ridge) - std::abs(mine - disc));
          }
          return margin;
        });
    add("3a", "Fine-tuning on D_disc lowers the D_disc error", Expected::negative, study, [error](std::uint64_t seed) {
      return error(seed, "fine-tuned", "D_disc", 0, -1) - error(seed, "pretrained", "D_disc", 0, -1);
    });
    add("3b", "Forgetting: it raises the D_cont error at 1-3 exemplars", Expected::positive, study,
        [error](std::uint64_t seed) {
          return error(seed, "fine-tuned", "D_cont", 1, 3) - error(seed, "pretrained", "D_cont", 1, 3);
        });
    add("3c", "... and at all numbers of exemplars by more than the D_disc error falls", Expected::positive, study,
        [error](std::uint64_t seed) {
          const double rise = error(seed, "fine-tuned", "D_cont", 0, -1) - error(seed, "pretrained", "D_cont", 0, -1);
          const double fall = error(seed, "pretrained", "D_disc", 0, -1) - error(seed, "fine-tuned", "D_disc", 0, -1);
          return rise - fall;
        });
    add("4", "The pool probability fitted to the outputs on D_cont rises with fine-tuning", Expected::positive, study,
        [odds](std::uint64_t seed) { return odds(seed, "fine-tuned") - odds(seed, "pretrained"); });
    add("5", "Rank correlation of a prompt's forgetting with its log p_disc", Expected::open, study,
        [&table, study, &settings](std::uint64_t seed) {
          return table.mean({.study = study,
                             .seed = seed,
                             .stage = "fine-tuned",
                             .task = "D_cont",
                             .metric = "spearman_forgetting_likelihood"},
                            settings.likelihood_exemplars, settings.likelihood_exemplars);
        });
    for (const double gamma : settings.gammas) {
      const std::string map = scale(gamma);
      const std::string name = "gamma " + shortest_text(gamma);
      add("6a", "Recovery: " + name + " lowers the fine-tuned model's D_cont error at 1-3 exemplars",
          Expected::positive, study,
          [gain, map](std::uint64_t seed) { return gain(seed, "fine-tuned", map, "D_cont", 1, 3); });
      add("6b", "... by more than at the two largest numbers of exemplars", Expected::positive, study,
          [gain, map, many](std::uint64_t seed) {
            return gain(seed, "fine-tuned", map, "D_cont", 1, 3) -
                   gain(seed, "fine-tuned", map, "D_cont", many - 1, many);
          });
      add("6c", "... and raises its D_disc error", Expected::positive, study,
          [gain, map](std::uint64_t seed) { return -gain(seed, "fine-tuned", map, "D_disc", 0, -1); });
      add("7c", "Control: " + name + " gains less on the pretrained model at 1-3 exemplars (difference of gains)",
          Expected::positive, study, [gain, map](std::uint64_t seed) {
            return gain(seed, "fine-tuned", map, "D_cont", 1, 3) - gain(seed, "pretrained", map, "D_cont", 1, 3);
          });
    }
    add("6d", "The fitted pool probability falls with gamma (slope over gamma, 1 included)", Expected::negative, study,
        [odds, scale, &settings](std::uint64_t seed) {
          std::vector<double> gammas = {1.0};
          std::vector<double> fitted = {odds(seed, "fine-tuned")};
          for (const double gamma : settings.gammas) {
            gammas.push_back(gamma);
            fitted.push_back(odds(seed, "fine-tuned" + scale(gamma)));
          }
          return fit_line(gammas, fitted).slope;
        });
    add(
        "7a", "Control: ridge does not change under label scaling (largest relative change)", Expected::small, study,
        [error, scale, &settings](std::uint64_t seed) {
          double largest = 0.0;
          for (const double gamma : settings.gammas) {
            const double plain = error(seed, "fine-tuned", "D_cont", 0, -1, "ridge");
            const double scaled = error(seed, "fine-tuned" + scale(gamma), "D_cont", 0, -1, "ridge");
            largest = (std::max)(largest, std::abs(scaled / plain - 1.0));
          }
          return largest;
        },
        1e-9);
    add("7b", "Control: the exact pool posterior does not become ridge under it (D_cont error above ridge's)",
        Expected::positive, study, [error, scale, mild](std::uint64_t seed) {
          return error(seed, "fine-tuned" + scale(mild), "D_cont", 1, -1, "pool_posterior") -
                 error(seed, "fine-tuned", "D_cont", 1, -1, "ridge");
        });
    for (const std::string map : {"flip", "rotate", "permute"}) {
      add("8", "Recovery by another map, " + map + ", at 1-3 exemplars", Expected::open, study,
          [gain, map](std::uint64_t seed) { return gain(seed, "fine-tuned", " | " + map, "D_cont", 1, 3); });
    }
  }
  return claims;
}

}  // namespace forgetting
