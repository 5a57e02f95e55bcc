#include "incontext/policy/training_curve.hpp"

#include "incontext/policy/fork.hpp"
#include "incontext/policy/pretrain.hpp"
#include "io/temporary_folder.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

/// Tells a curve of steps with the given losses, from `state.step` on.
void tell(TrainingCurve& curve, TrainingState<float>& state, const std::vector<double>& losses) {
  for (const double loss : losses) {
    state.loss = loss;
    ++state.step;
    curve.on_step(state);
  }
}

}  // namespace

TEST_CASE("a row is the step and the mean loss since the row before") {
  const TemporaryFolder folder("training_curve");
  TrainingCurve curve{{.folder = folder.path(), .every = 2}};
  TrainingState<float> state;
  state.place = "0";
  curve.on_begin(state);
  tell(curve, state, {1.0, 2.0, 4.0, 0.5, 9.0});
  CHECK(content_of(folder.path() / "training-0.csv") == "step,loss\n2,1.5\n4,2.25\n");
}

TEST_CASE("every training stage has a file of its own") {
  const TemporaryFolder folder("training_curve");
  TrainingCurve curve{{.folder = folder.path() / "new", .every = 1}};
  const auto stage = Pretrain{broad_task(), small_optimiser(), steps_of(2)};
  static_cast<void>((stage | fork(stage, stage))(small_start(), curve));
  for (const char* name : {"training-0.csv", "training-1.0-1.csv", "training-1.1-1.csv"}) {
    CAPTURE(name);
    const std::string content = content_of(folder.path() / "new" / name);
    CHECK(content.starts_with("step,loss\n1,"));
    CHECK(std::count(content.begin(), content.end(), '\n') == 3);
  }
}

TEST_CASE("law 6: a resumed stage keeps the rows up to where it was resumed, byte for byte") {
  const std::vector<double> losses = {0.1, 1.0 / 3.0, 1e-310, 7.0, 3e20, 0.3, 0.7, 0.9};
  const auto part = [&](Index first, Index last) {
    return std::vector<double>(losses.begin() + first, losses.begin() + last);
  };
  const TemporaryFolder whole("training_curve");
  TrainingState<float> state;
  state.place = "0";
  {
    TrainingCurve curve{{.folder = whole.path(), .every = 3}};
    curve.on_begin(state);
    tell(curve, state, losses);
  }
  const std::string expected = content_of(whole.path() / "training-0.csv");

  for (Index saved = 1; saved < 8; ++saved) {
    CAPTURE(saved);
    const TemporaryFolder folder("training_curve_parts");
    TrainingState<float> first;
    first.place = "0";
    TrainingState<float> restored;
    {
      TrainingCurve curve{{.folder = folder.path(), .every = 3}};
      curve.on_begin(first);
      tell(curve, first, part(0, saved));
      restored.step = first.step;
      restored.memory = first.memory;
      tell(curve, first, part(saved, 8));  // steps that were made, but not saved
    }
    std::ofstream(folder.path() / "training-0.csv", std::ios::app) << "9,0.";  // a row that was cut off
    restored.place = "0";
    TrainingCurve curve{{.folder = folder.path(), .every = 3}};
    curve.on_begin(restored);
    tell(curve, restored, part(saved, 8));
    CHECK(content_of(folder.path() / "training-0.csv") == expected);
  }
}

TEST_CASE("a stage that starts anew replaces the file") {
  const TemporaryFolder folder("training_curve");
  std::ofstream(folder.path() / "training-0.csv") << "step,loss\n1,5\n2,6\n";
  TrainingCurve curve{{.folder = folder.path(), .every = 1}};
  TrainingState<float> state;
  state.place = "0";
  curve.on_begin(state);
  CHECK(content_of(folder.path() / "training-0.csv") == "step,loss\n");
}

TEST_CASE("settings and folders that make no sense are refused by name") {
  const TemporaryFolder folder("training_curve");
  using Settings = TrainingCurve::Settings;
  CHECK_THROWS_WITH_AS(TrainingCurve(Settings{.folder = folder.path(), .every = 0}),
                       "TrainingCurve: every is 0, expected at least 1", ConfigurationError);
  const std::filesystem::path file = folder.path() / "file";
  std::ofstream(file) << "not a folder";
  CHECK_THROWS_WITH_AS(TrainingCurve(Settings{.folder = file}),
                       doctest::Contains("TrainingCurve: cannot make the folder"), FileError);
  // A folder stands where the file belongs.
  std::filesystem::create_directory(folder.path() / "training-0.csv");
  TrainingCurve curve{{.folder = folder.path()}};
  TrainingState<float> state;
  state.place = "0";
  CHECK_THROWS_WITH_AS(curve.on_begin(state), doctest::Contains("TrainingCurve: cannot write"), FileError);
}
