#pragma once
/// How long the grid takes, and how much of it is done.

#include "plan.hpp"

#include <incontext/report/number.hpp>
#include <incontext/report/progress.hpp>

#include <cstdio>
#include <mutex>
#include <string>

namespace inoculation {

/// Seconds of all threads together that things are expected to take, from a few tries on one: all are at work.
struct Costs {
  double step = 0.0;        ///< of training
  double evaluation = 0.0;  ///< of one prompt at one place

  /// Of pretraining a base model.
  [[nodiscard]] double base(const Options& options) const { return static_cast<double>(options.steps) * step; }
  /// Of a cell.
  [[nodiscard]] double cell(const Options& options, const Setting& setting, const Arm& arm) const {
    const auto places = static_cast<double>(setting.places.size());
    const bool is_base = arm.data == Data::no_training;
    const double prompts = arm.patches           ? 12.0
                           : is_base             ? 19.0
                           : arm.follows_steps   ? 8.0
                           : arm.study == "main" ? 8.0
                                                 : 3.0;
    const Index steps = is_base ? 0 : arm.follows_steps ? steps_followed(options).back() : options.fine_tune_steps;
    return static_cast<double>(steps) * step + prompts * places * evaluation;
  }
};

/// Prints how much of the grid is done. Cells are of different sizes, so work is counted in seconds that it was
/// expected to take, and the time left follows from how long what is done has taken.
class GridProgress {
 public:
  GridProgress(double expected_seconds, Index cells)
      : expected_(expected_seconds), cells_(cells), begin_(steady_seconds()) {}

  /// Some work ended, whichever thread it was on.
  void add(double expected_seconds, const std::string& what, bool is_cell) {
    const std::lock_guard lock(mutex_);
    done_ += expected_seconds;
    finished_ += is_cell ? 1 : 0;
    const double elapsed = steady_seconds() - begin_;
    if (elapsed - last_ < (on_terminal_ ? 0.1 : 10.0) && finished_ < cells_) {
      return;
    }
    last_ = elapsed;
    const double left = elapsed * (expected_ - done_) / done_;
    const std::string line =
        text(count_text(finished_), "/", count_text(cells_), " cells (", static_cast<Index>(100.0 * done_ / expected_),
             "%)  ", duration_text(left), " left  ", what);
    std::fprintf(stderr, on_terminal_ ? "\r%-100.100s" : "%s\n", line.c_str());
    if (on_terminal_ && finished_ == cells_) {
      std::fputc('\n', stderr);
    }
    std::fflush(stderr);
  }

 private:
  bool on_terminal_ = is_terminal(stderr);
  std::mutex mutex_;
  double expected_ = 0.0;
  double done_ = 0.0;
  Index cells_ = 0;
  Index finished_ = 0;
  double begin_ = 0.0;
  double last_ = 0.0;
};

}  // namespace inoculation
