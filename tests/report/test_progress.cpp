#include "incontext/report/progress.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

using namespace incontext;

namespace {

/// A progress line on a temporary file, with a clock that goes when it is told to.
class Recorder {
 public:
  explicit Recorder(ProgressOutput output)
      : file_(std::tmpfile()), progress_({.file = file_, .output = output, .clock = [this] { return seconds_; }}) {}
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder() { std::fclose(file_); }

  Progress& at(double seconds) {
    seconds_ = seconds;
    return progress_;
  }
  [[nodiscard]] std::string written() const {
    std::string content;
    std::rewind(file_);
    for (int letter = std::fgetc(file_); letter != EOF; letter = std::fgetc(file_)) {
      content += static_cast<char>(letter);
    }
    return content;
  }

 private:
  double seconds_ = 0.0;
  std::FILE* file_;
  Progress progress_;
};

}  // namespace

TEST_CASE("durations have at most two units") {
  CHECK(duration_text(0.0) == "0 s");
  CHECK(duration_text(59.4) == "59 s");
  CHECK(duration_text(59.6) == "1 min 00 s");
  CHECK(duration_text(65.0) == "1 min 05 s");
  CHECK(duration_text(3599.0) == "59 min 59 s");
  CHECK(duration_text(3600.0 * 2 + 60.0 * 3) == "2 h 03 min");
  CHECK(duration_text(86400.0 * 4 + 3600.0) == "4 d 01 h");
  CHECK(duration_text(-1.0) == "?");
  CHECK(duration_text(std::nan("")) == "?");
  CHECK(duration_text(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("a progress line says what is known and leaves out what is not") {
  ProgressState state{.label = "pretrain",
                      .step = 1200,
                      .steps = 10000,
                      .loss = 1.2345,
                      .tokens_per_second = 48000.4,
                      .seconds_left = 65.0};
  CHECK(progress_text(state) == "pretrain  1,200/10,000 (12%)  loss 1.23  48,000 tokens/s  1 min 05 s left");
  state.tokens_per_second = std::nan("");
  state.seconds_left = std::nan("");
  CHECK(progress_text(state) == "pretrain  1,200/10,000 (12%)  loss 1.23");
  CHECK(progress_text({.label = "empty"}) == "empty  0/0  loss 0.00");
}

TEST_CASE("a line too long for its terminal loses the end of its label and no number") {
  const ProgressState state{.label = "γγγ on the pool", .step = 1, .steps = 2};
  const std::string numbers = "  1/2 (50%)  loss 0.00";
  CHECK(progress_text(state, 18 + numbers.size()) == "γγγ on the pool" + numbers);
  CHECK(progress_text(state, 9 + numbers.size()) == "γγγ on" + numbers);
  CHECK(progress_text(state, 5 + numbers.size()) == "γγ" + numbers);  // half a letter would not be text
  CHECK(progress_text(state, 3) == numbers);
}

TEST_CASE("in a file, lines come at intervals, and the first and last of a stage always") {
  Recorder recorder(ProgressOutput::automatic);  // a file is no terminal
  recorder.at(100.0).update("pretrain", 1, 101, 2.0, 50);
  recorder.at(105.0).update("pretrain", 26, 101, 1.5, 1300);  // too early
  recorder.at(110.0).update("pretrain", 51, 101, 1.0, 2550);
  recorder.at(115.0).update("pretrain", 101, 101, 0.5, 5050);
  recorder.at(115.1).update("fine-tune", 1, 400, 3.0, 50);
  recorder.at(115.2).finish();
  CHECK(recorder.written() ==
        "pretrain  1/101 (0%)  loss 2.00\n"
        "pretrain  51/101 (50%)  loss 1.00  250 tokens/s  10 s left\n"
        "pretrain  101/101 (100%)  loss 0.500  333 tokens/s  0 s left\n"
        "fine-tune  1/400 (0%)  loss 3.00\n");
}

TEST_CASE("a resumed stage counts its rates from where it resumed") {
  Recorder recorder(ProgressOutput::plain);
  recorder.at(0.0).update("pretrain", 900, 1000, 1.0, 90000);
  recorder.at(10.0).update("pretrain", 910, 1000, 1.0, 91000);
  CHECK(recorder.written().find("100 tokens/s  1 min 30 s left\n") != std::string::npos);
}

TEST_CASE("on a terminal, one line is written over, and a shorter one wipes the longer") {
  Recorder recorder(ProgressOutput::terminal);
  recorder.at(0.0).update("long label", 1000, 2000, 1.25, 0);
  recorder.at(0.05).update("long label", 1001, 2000, 1.25, 0);  // too early
  recorder.at(1.0).update("a", 5, 5, 1.25, 0);
  recorder.at(2.0).update("a", 4, 5, 1.25, 0);  // a step back is a new run of the stage
  recorder.at(2.0).finish();
  recorder.at(2.0).finish();
  const std::string first = "long label  1,000/2,000 (50%)  loss 1.25";
  const std::string second = "a  5/5 (100%)  loss 1.25";
  const std::string third = "a  4/5 (80%)  loss 1.25";
  CHECK(recorder.written() == "\r" + first + "\n\r" + second + "\n\r" + third + "\n");

  Recorder shrinking(ProgressOutput::terminal);
  shrinking.at(0.0).update("a", 1, 1000, 1.25e-9, 0);
  shrinking.at(1.0).update("a", 999, 1000, 1.25, 998000000000);
  shrinking.at(2.0).update("a", 1000, 1000, 1.25, 999);
  const std::string content = shrinking.written();
  const std::size_t last = content.rfind('\r');
  const std::size_t before = content.rfind('\r', last - 1);
  CHECK(content.size() - last == last - before);  // as wide as the longer line
  CHECK(content.back() == ' ');
}

TEST_CASE("settings that make no sense are refused") {
  CHECK_THROWS_AS(Progress({.file = nullptr}), ConfigurationError);
  CHECK_THROWS_AS(Progress({.terminal_interval = -1.0}), ConfigurationError);
  CHECK_THROWS_AS(Progress({.plain_interval = std::nan("")}), ConfigurationError);
  CHECK_THROWS_AS(Progress({.clock = nullptr}), ConfigurationError);
}
