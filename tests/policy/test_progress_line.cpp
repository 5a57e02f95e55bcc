#include "incontext/policy/progress_line.hpp"

#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/pretrain.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

/// A file that is gone when it is closed.
class Output {
 public:
  Output() : file_(std::tmpfile()) { REQUIRE(file_ != nullptr); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { std::fclose(file_); }
  [[nodiscard]] std::FILE* file() const { return file_; }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::rewind(file_);
    std::vector<std::string> lines(1);
    for (int letter = std::fgetc(file_); letter != EOF; letter = std::fgetc(file_)) {
      letter == '\n' ? lines.emplace_back() : lines.back() += static_cast<char>(letter);
    }
    return lines;
  }

 private:
  std::FILE* file_;
};

/// A line that writes to `output` after every step, on a clock that moves a second a step.
ProgressLine line_to(const Output& output, std::string label = "") {
  return ProgressLine({.file = output.file(),
                       .output = ProgressOutput::plain,
                       .plain_interval = 0.0,
                       .clock = [seconds = 0.0]() mutable { return seconds++; }},
                      std::move(label));
}

bool starts_and_ends(const std::string& line, const std::string& start, const std::string& end) {
  INFO(line);
  const bool holds = line.starts_with(start) && line.ends_with(end);
  CHECK(holds);
  return holds;
}

}  // namespace

TEST_CASE("the line says stage, step, loss, tokens a second and time left") {
  const Output output;
  ProgressLine line = line_to(output);
  static_cast<void>((Pretrain{broad_task(), small_optimiser(), steps_of(3)} |
                     FineTune{narrow_task(), small_optimiser(), steps_of(2)})(small_start(), line));
  const auto lines = output.lines();
  REQUIRE(lines.size() == 6);
  // 9 prompts of 7 tokens a step, and a step is a second.
  starts_and_ends(lines[0], "pretrain  1/3 (33%)  loss ", "");
  CHECK(lines[0].find("tokens/s") == std::string::npos);  // nothing is known after one step
  starts_and_ends(lines[1], "pretrain  2/3 (66%)  loss ", "  63 tokens/s  1 s left");
  starts_and_ends(lines[2], "pretrain  3/3 (100%)  loss ", "  63 tokens/s  0 s left");
  starts_and_ends(lines[3], "fine-tune  1/2 (50%)  loss ", "");
  starts_and_ends(lines[4], "fine-tune  2/2 (100%)  loss ", "  63 tokens/s  0 s left");
  CHECK(lines[5].empty());
}

TEST_CASE("a label stands in front of the stage's name, and can be changed between stages") {
  const Output output;
  ProgressLine line = line_to(output, "seed 3");
  const auto stage = Pretrain{broad_task(), small_optimiser(), steps_of(1)};
  static_cast<void>(run_stage(stage, small_start(), line));
  line.set_label("seed 4");
  static_cast<void>(run_stage(stage, small_start(), line));
  const auto lines = output.lines();
  REQUIRE(lines.size() == 3);
  starts_and_ends(lines[0], "seed 3 pretrain  1/1 (100%)", "");
  starts_and_ends(lines[1], "seed 4 pretrain  1/1 (100%)", "");
}

TEST_CASE("a stage of no steps, and a finished one, write nothing") {
  const Output output;
  ProgressLine line = line_to(output);
  static_cast<void>(run_stage(Pretrain{broad_task(), small_optimiser(), steps_of(0)}, small_start(), line));
  CHECK(output.lines() == std::vector<std::string>{""});
}

TEST_CASE("the rate of a resumed stage counts the steps since then") {
  const Output output;
  ProgressLine line = line_to(output);
  TrainingState<float> state;
  state.stage = "pretrain";
  state.step = 100;
  state.steps = 103;
  state.tokens_a_step = 10;
  line.on_begin(state);
  for (int step = 0; step < 2; ++step) {
    ++state.step;
    line.on_step(state);
  }
  const auto lines = output.lines();
  REQUIRE(lines.size() == 3);
  starts_and_ends(lines[1], "pretrain  102/103 (99%)  loss 0", "  10 tokens/s  1 s left");
}
