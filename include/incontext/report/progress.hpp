#pragma once
/// \file
/// A progress line for long work.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/report/number.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#if defined(_WIN32)
#include <io.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

/// A duration as a person would say it, with two units: "12 s", "1 min 05 s", "2 h 03 min", "4 d 01 h".
/// Negative, infinite and NaN durations are "?".
[[nodiscard]] inline std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0 || seconds > 1e12) {
    return "?";
  }
  const auto whole = static_cast<long long>(std::llround(seconds));
  const auto two_units = [](long long large, const char* large_unit, long long small, const char* small_unit) {
    return std::to_string(large) + ' ' + large_unit + (small < 10 ? " 0" : " ") + std::to_string(small) + ' ' +
           small_unit;
  };
  if (whole < 60) {
    return std::to_string(whole) + " s";
  }
  if (whole < 3600) {
    return two_units(whole / 60, "min", whole % 60, "s");
  }
  if (whole < 86400) {
    return two_units(whole / 3600, "h", whole % 3600 / 60, "min");
  }
  return two_units(whole / 86400, "d", whole % 86400 / 3600, "h");
}

/// What a progress line says.
struct ProgressState {
  std::string label{};                                                  ///< of the stage: "pretrain"
  Index step = 0;                                                       ///< steps done
  Index steps = 0;                                                      ///< steps in all
  double loss = 0.0;                                                    ///< of the last step
  double tokens_per_second = std::numeric_limits<double>::quiet_NaN();  ///< NaN where it is not known yet
  double seconds_left = std::numeric_limits<double>::quiet_NaN();       ///< NaN where it is not known yet
};

/// "pretrain  1,200/10,000 (12%)  loss 1.23  48,000 tokens/s  1 min 05 s left"; what is not known yet is left out.
/// Where that is longer than `width` bytes, the end of the label goes, since the numbers matter more.
[[nodiscard]] inline std::string progress_text(const ProgressState& state,
                                               std::size_t width = (std::numeric_limits<std::size_t>::max)()) {
  std::string numbers = "  " + count_text(state.step) + '/' + count_text(state.steps);
  if (state.steps > 0) {
    numbers += " (" + std::to_string(100 * state.step / state.steps) + "%)";
  }
  numbers += "  loss " + significant_text(state.loss);
  if (std::isfinite(state.tokens_per_second)) {
    numbers += "  " + count_text(static_cast<Index>(std::llround(state.tokens_per_second))) + " tokens/s";
  }
  if (std::isfinite(state.seconds_left)) {
    numbers += "  " + duration_text(state.seconds_left) + " left";
  }
  const std::size_t room = width - (std::min)(width, numbers.size());
  std::size_t kept = (std::min)(room, state.label.size());
  while (kept > 0 && kept < state.label.size() && (static_cast<unsigned char>(state.label[kept]) & 0xC0U) == 0x80U) {
    --kept;  // a byte 10xxxxxx continues a UTF-8 character, which is not to be cut in two
  }
  return state.label.substr(0, kept) + numbers;
}

/// What the output of a `Progress` is.
enum class ProgressOutput {
  automatic,  ///< a terminal if the file is one, plain otherwise
  terminal,   ///< one line that is written over and over
  plain,      ///< a new line at intervals, for logs
};

/// Seconds of a clock that never goes back.
[[nodiscard]] inline double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Whether what is written to the file is shown on a terminal.
[[nodiscard]] inline bool is_terminal(std::FILE* file) {
#if defined(_WIN32)
  return _isatty(_fileno(file)) != 0;
#elif defined(__unix__) || defined(__APPLE__)
  return isatty(fileno(file)) != 0;
#else
  return static_cast<void>(file), false;
#endif
}

/// How a `Progress` works.
struct ProgressSettings {
  std::FILE* file = stderr;                                         ///< owned by somebody else
  ProgressOutput output = ProgressOutput::automatic;                ///< how to write
  double terminal_interval = 0.1;                                   ///< seconds between lines on a terminal, at least
  double plain_interval = 10.0;                                     ///< seconds between lines elsewhere, at least
  std::function<double()> clock = [] { return steady_seconds(); };  ///< in seconds
};

/// Writes the progress of stages, one after the other. Rates are of the present stage since its first update, so a
/// resumed run starts with honest ones.
class Progress {
 public:
  /// \throws ConfigurationError if there is no file or an interval is negative or NaN
  explicit Progress(ProgressSettings settings = {}) : settings_(std::move(settings)) {
    require(settings_.file != nullptr, "Progress: there is no file");
    require(settings_.clock != nullptr, "Progress: there is no clock");
    require(settings_.terminal_interval >= 0.0, "Progress: terminal_interval is ", settings_.terminal_interval,
            ", expected at least 0 seconds");
    require(settings_.plain_interval >= 0.0, "Progress: plain_interval is ", settings_.plain_interval,
            ", expected at least 0 seconds");
    on_terminal_ = settings_.output == ProgressOutput::terminal ||
                   (settings_.output == ProgressOutput::automatic && is_terminal(settings_.file));
  }

  /// Says that `step` of `steps` are done. A new label starts a new stage. Writes only if enough time has passed, but
  /// always the first and the last step of a stage.
  void update(std::string_view label, Index step, Index steps, double loss, Index tokens_so_far) {
    const double now = settings_.clock();
    const bool first = !in_stage_ || label != label_ || step < last_step_;
    if (first) {
      finish();
      in_stage_ = true;
      label_ = label;
      first_step_ = step;
      first_tokens_ = tokens_so_far;
      start_ = now;
    }
    last_step_ = step;
    const double interval = on_terminal_ ? settings_.terminal_interval : settings_.plain_interval;
    if (!first && step < steps && now - last_write_ < interval) {
      return;
    }
    last_write_ = now;
    const double elapsed = now - start_;  // 0 / 0 at the first update is the NaN that means "not known yet"
    const double seconds_a_step = elapsed / static_cast<double>(step - first_step_);
    write({.label = label_,
           .step = step,
           .steps = steps,
           .loss = loss,
           .tokens_per_second = static_cast<double>(tokens_so_far - first_tokens_) / elapsed,
           .seconds_left = seconds_a_step * static_cast<double>(steps - step)});
  }

  /// Ends the stage's line. Does nothing where there is none.
  void finish() {
    if (on_terminal_ && in_stage_) {
      std::fputc('\n', settings_.file);
      std::fflush(settings_.file);
    }
    in_stage_ = false;
    written_width_ = 0;
  }

 private:
  /// The columns of the terminal, or 80 where it does not say.
  static std::size_t terminal_columns(std::FILE* file) {
#if defined(TIOCGWINSZ)
    winsize size{};
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      return size.ws_col;
    }
#endif
    return static_cast<void>(file), 80;
  }
  void write(const ProgressState& state) {
    std::string line;
    if (on_terminal_) {
      const std::string words = progress_text(state, terminal_columns(settings_.file) - 1);
      // Spaces wipe what is left of a longer line before; every terminal knows them.
      line = '\r' + words + std::string(written_width_ - (std::min)(written_width_, words.size()), ' ');
      written_width_ = words.size();
    } else {
      line = progress_text(state) + '\n';
    }
    std::fputs(line.c_str(), settings_.file);
    std::fflush(settings_.file);
  }

  ProgressSettings settings_;
  bool on_terminal_ = false;
  bool in_stage_ = false;
  std::string label_;
  Index first_step_ = 0;
  Index last_step_ = 0;
  Index first_tokens_ = 0;
  double start_ = 0.0;
  double last_write_ = 0.0;
  std::size_t written_width_ = 0;
};

INCONTEXT_NAMESPACE_END
