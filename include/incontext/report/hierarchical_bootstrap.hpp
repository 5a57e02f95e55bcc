#pragma once
/// \file
/// Intervals where chance enters at several levels: pretraining, fine-tuning, and the choice of prompts.
///
/// Measurements of one base model hang together, and so do those of one prompt; to take them all for independent makes
/// intervals several times too narrow. Here base models are drawn again with replacement, of each the fine-tuning runs,
/// and, apart from both, the prompts: they are the same for all models, a crossed factor and not a nested one.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/key.hpp"
#include "incontext/report/bootstrap.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// What one fine-tuning run of one base model gave on one prompt. Several values stand side by side (the expression
/// of a trait in two arms, say), so that a statistic of their means is paired by model and prompt.
struct Measurement {
  Index base = 0;              ///< the base model: a pretraining seed
  Index fine_tuning = 0;       ///< the run, among those of its base model
  Index prompt = 0;            ///< the prompt, the same number for all models
  std::vector<double> values;  ///< as many in every measurement
};

/// Measurements, sorted by the levels that are drawn from.
class Hierarchy {
 public:
  /// \throws ConfigurationError if there are no measurements, or they differ in their number of values
  explicit Hierarchy(std::span<const Measurement> measurements) {
    require(!measurements.empty(), "Hierarchy: there are no measurements, expected at least one");
    width_ = measurements.front().values.size();
    std::map<Index, std::map<Index, std::vector<Cell>>> sorted;
    std::map<Index, std::size_t> prompts;
    for (const Measurement& measurement : measurements) {
      require(measurement.values.size() == width_, "Hierarchy: a measurement of ", measurement.values.size(),
              " values beside one of ", width_);
      const std::size_t prompt = prompts.try_emplace(measurement.prompt, prompts.size()).first->second;
      sorted[measurement.base][measurement.fine_tuning].push_back({prompt, measurement.values});
    }
    for (auto& [base, its_runs] : sorted) {
      bases_.emplace_back();
      for (auto& [run, cells] : its_runs) {
        bases_.back().push_back(std::move(cells));
      }
    }
    prompts_ = prompts.size();
  }

  /// The means of the values: over the prompts of a run, over the runs of a base model, over base models.
  [[nodiscard]] std::vector<double> means() const {
    return means(std::vector<double>(prompts_, 1.0), [](std::size_t, std::size_t index) { return index; });
  }

  /// The same with everything drawn again with replacement. NaN where no prompt of a run was drawn.
  [[nodiscard]] std::vector<double> resampled_means(Stream& stream) const {
    const auto draw = [&stream](std::size_t count) {
      return static_cast<std::size_t>(stream.integer(static_cast<Index>(count)));
    };
    std::vector<double> times(prompts_, 0.0);
    for (std::size_t prompt = 0; prompt < prompts_; ++prompt) {
      times[draw(prompts_)] += 1.0;
    }
    return means(times, [&](std::size_t count, std::size_t) { return draw(count); });
  }

  /// Base models, prompts.
  [[nodiscard]] Index bases() const { return static_cast<Index>(bases_.size()); }
  [[nodiscard]] Index prompts() const { return static_cast<Index>(prompts_); }

 private:
  struct Cell {
    std::size_t prompt = 0;
    std::vector<double> values;
  };
  using FineTuningRun = std::vector<Cell>;

  // `times` is how often each prompt counts; `choose(count, index)` which of `count` is taken as number `index`.
  template <class Choose>
  [[nodiscard]] std::vector<double> means(const std::vector<double>& times, const Choose& choose) const {
    std::vector<double> total(width_, 0.0);
    std::vector<double> of_run(width_);
    for (std::size_t number = 0; number < bases_.size(); ++number) {
      const std::vector<FineTuningRun>& runs = bases_[choose(bases_.size(), number)];
      for (std::size_t run = 0; run < runs.size(); ++run) {
        std::fill(of_run.begin(), of_run.end(), 0.0);
        double weight = 0.0;
        for (const Cell& cell : runs[choose(runs.size(), run)]) {
          weight += times[cell.prompt];
          for (std::size_t value = 0; value < width_; ++value) {
            of_run[value] += times[cell.prompt] * cell.values[value];
          }
        }
        const double share = 1.0 / (weight * static_cast<double>(runs.size() * bases_.size()));
        for (std::size_t value = 0; value < width_; ++value) {
          total[value] += share * of_run[value];
        }
      }
    }
    return total;
  }

  std::vector<std::vector<FineTuningRun>> bases_;
  std::size_t prompts_ = 0;
  std::size_t width_ = 0;
};

/// The percentile bootstrap of a statistic of the means, `statistic(const std::vector<double>&)`, over base models,
/// fine-tuning runs and prompts. One base model and one prompt give no interval. The same key gives the same interval.
///
/// As every percentile bootstrap it is too narrow where a level has few members, by sqrt((n - 1) / n) and for want of
/// Student's tail: say how many there were. \throws ConfigurationError if there is nothing to draw from, or the
/// settings make no sense
template <class Statistic>
[[nodiscard]] Interval hierarchical_interval(std::span<const Measurement> measurements, const Statistic& statistic,
                                             Key key, const BootstrapSettings& settings = {}) {
  detail::check("hierarchical_interval", settings);
  const Hierarchy hierarchy(measurements);
  const double estimate = statistic(hierarchy.means());
  if (hierarchy.bases() == 1 && hierarchy.prompts() == 1) {
    return {.estimate = estimate};
  }
  Stream stream(key.fold("hierarchical bootstrap"));
  return detail::percentile_interval(estimate, settings, [&] { return statistic(hierarchy.resampled_means(stream)); });
}

/// The same for the mean of the only value.
[[nodiscard]] inline Interval hierarchical_interval(std::span<const Measurement> measurements, Key key,
                                                    const BootstrapSettings& settings = {}) {
  return hierarchical_interval(
      measurements, [](const std::vector<double>& means) { return means.front(); }, key, settings);
}

INCONTEXT_NAMESPACE_END
