#include "incontext/policy/checkpoint.hpp"

#include "incontext/map/scale_labels.hpp"
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/early_stop.hpp"
#include "incontext/policy/fine_tune.hpp"
#include "incontext/policy/fork.hpp"
#include "incontext/policy/pretrain.hpp"
#include "incontext/policy/training_curve.hpp"
#include "io/temporary_folder.hpp"
#include "policy/small_study.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using namespace incontext;
using namespace incontext_tests;

namespace {

using Folder = std::filesystem::path;

/// The content of every file of a folder, by name.
std::map<std::string, std::string> files_of(const Folder& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = content_of(entry.path());
  }
  return files;
}

/// Counts the steps that were really made.
struct StepCounter {
  Index steps = 0;
  void on_step(const TrainingState<float>&) { ++steps; }
};

/// Runs a study as a process of its own would: a new model, new observers. The checkpoint stands in front of the
/// observers that remember something, so that it would save them a step late if the order mattered.
/// Returns how many steps were made; `crash` says where it stops.
template <class Study, class Keep>
Index run_process(const Study& study, const Folder& folder, bool resume, Index patience, const CrashAt& crash,
                  Keep&& keep) {
  Checkpoint checkpoint{{.folder = folder, .every = 2, .resume = resume}};
  TrainingCurve curve{{.folder = folder, .every = 3}};
  EarlyStop early_stop{{.patience = patience, .smoothing = 0.5}};
  StepCounter counter;
  try {
    keep(study(small_start(), checkpoint, crash, curve, early_stop, counter));
  } catch (const Crash&) {
  }
  return counter.steps;
}

/// Law 6 for one study: wherever it crashes, resumption gives the bits of the uninterrupted run, in the result and in
/// every file (parameters, moments, what observers remember, training curves).
template <class Study>
void check_resumption(const Study& study, const std::vector<CrashAt>& crashes, Index patience = 100) {
  const TemporaryFolder whole("checkpoint_whole");
  std::vector<decltype(study(small_start()))> expected;
  const auto keep_expected = [&](auto run) { expected.push_back(std::move(run)); };
  const Index all_steps = run_process(study, whole.path(), false, patience, {}, keep_expected);
  REQUIRE(expected.size() == 1);

  for (const CrashAt& crash : crashes) {
    CAPTURE(crash.place);
    CAPTURE(crash.step);
    const TemporaryFolder folder("checkpoint_parts");
    bool finished = false;
    const Index first_steps = run_process(study, folder.path(), true, patience, crash, [&](auto) { finished = true; });
    CHECK_FALSE(finished);
    CHECK(first_steps < all_steps);
    const Index second_steps = run_process(study, folder.path(), true, patience, {}, [&](auto run) {
      finished = true;
      CHECK(same_run(run, expected.front()));
    });
    CHECK(finished);
    // With a save every 2 steps at most one is lost, and the step that crashed was not counted.
    CHECK(first_steps + second_steps >= all_steps);
    CHECK(first_steps + second_steps <= all_steps + 1);
    CHECK(files_of(folder.path()) == files_of(whole.path()));
  }
}

TrainSettings growing(Index steps) {
  TrainSettings settings = steps_of(steps);
  settings.curriculum = {.dimension = {.start = 1, .increment = 1, .interval = 3},
                         .points = {.start = 2, .increment = 1, .interval = 2}};
  return settings;
}

auto pretrain(Index steps) { return Pretrain{broad_task(), small_optimiser(), steps_of(steps)}; }
auto fine_tune(Index steps) { return FineTune{narrow_task(), small_optimiser(), steps_of(steps)}; }
Folder stage_file(const TemporaryFolder& folder, const std::string& place) {
  return folder.path() / ("stage-" + place + ".safetensors");
}

/// A folder that holds the checkpoint of a finished stage of 3 steps.
struct FinishedStage {
  TemporaryFolder folder{"checkpoint_finished"};
  FinishedStage() {
    Checkpoint checkpoint{{.folder = folder.path(), .every = 2}};
    static_cast<void>(run_stage(pretrain(3), small_start(), checkpoint));
  }
  [[nodiscard]] Folder file() const { return stage_file(folder, "0"); }
  /// The message with which a stage refuses to resume.
  template <class Stage, class Run>
  [[nodiscard]] std::string refusal(const Stage& stage, const Run& run) const {
    Checkpoint checkpoint{{.folder = folder.path(), .every = 2, .resume = true}};
    try {
      static_cast<void>(run_stage(stage, run, checkpoint));
    } catch (const FileError& error) {
      return error.what();
    }
    return "resumed";
  }
};

bool says(const std::string& message, const std::string& part) {
  INFO(message);
  CHECK(message.find(part) != std::string::npos);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("law 6: n steps, saving, loading and m more steps give the bits of n + m steps") {
  check_resumption(pretrain(9) | Evaluate{"after", small_suite()},
                   {{"0", 1}, {"0", 2}, {"0", 3}, {"0", 5}, {"0", 6}, {"0", 8}, {"0", 9}});
}

TEST_CASE("law 6: with a curriculum") {
  check_resumption(Pretrain{broad_task(), small_optimiser(), growing(7)} | Evaluate{"after", small_suite()},
                   {{"0", 3}, {"0", 5}, {"0", 7}});
}

TEST_CASE("law 6: interrupted in the second stage, and in the branches of a fork") {
  const auto branch = fine_tune(5) | Evaluate{"a", small_suite()} | pretrain(3);
  const auto study = pretrain(4) | Evaluate{"pretrained", small_suite()} | fine_tune(5) |
                     fork(branch | ConjugatePrompt{ScaleLabels{2.0}} | Evaluate{"b", small_suite()}, branch) |
                     fork(branch) | pretrain(3);
  check_resumption(study, {{"1", 3}, {"2.0-2", 3}, {"2.0-3", 2}, {"2.1-3", 3}, {"2.2-2", 5}, {"2", 3}});
}

TEST_CASE("law 6: an early stop comes at the same step after a resumption") {
  // At a learning rate of 0 nothing is learned: the smoothed loss wanders, and patience ends the stage long before
  // its 200 steps.
  const auto study = Pretrain{broad_task(), chain(adam(), rate(0.0)), steps_of(200)} | Inspect{[](const auto&) {}};
  const TemporaryFolder folder("checkpoint_early");
  const Index steps = run_process(study, folder.path(), false, 4, {}, [](const auto&) {});
  REQUIRE(steps >= 5);
  REQUIRE(steps < 200);
  std::vector<CrashAt> crashes;
  for (Index step = 1; step <= steps; ++step) {
    crashes.push_back({"0", step});
  }
  check_resumption(study, crashes, 4);
}

TEST_CASE("a finished stage is not run again") {
  const FinishedStage finished;
  Checkpoint checkpoint{{.folder = finished.folder.path(), .every = 2, .resume = true}};
  StepCounter counter;
  const auto before = files_of(finished.folder.path());
  const auto run = run_stage(pretrain(3), small_start(), checkpoint, counter);
  CHECK(counter.steps == 0);
  CHECK(same_run(run, run_stage(pretrain(3), small_start())));
  CHECK(files_of(finished.folder.path()) == before);
}

TEST_CASE("without resume a stage starts anew") {
  const FinishedStage finished;
  Checkpoint checkpoint{{.folder = finished.folder.path(), .every = 2}};
  StepCounter counter;
  static_cast<void>(run_stage(pretrain(3), small_start(), checkpoint, counter));
  CHECK(counter.steps == 3);
}

TEST_CASE("a checkpoint is saved every so many steps and at the end, and says all") {
  const TemporaryFolder folder("checkpoint_every");
  struct Saves {
    Folder file;
    std::vector<std::string> steps;
    void save(const TrainingState<float>&) {
      steps.push_back(std::filesystem::exists(file) ? load_tensors(file).metadata_at("step") : "none");
    }
  } saves{stage_file(folder, "0"), {}};
  Checkpoint checkpoint{{.folder = folder.path(), .every = 3}};
  const auto run = run_stage(pretrain(7), small_start(), checkpoint, saves);
  CHECK(saves.steps == std::vector<std::string>{"none", "none", "3", "3", "3", "6", "6", "7"});

  const TensorFile file = load_tensors(saves.file);
  const std::map<std::string, std::string> expected = {
      {"architecture", "gpt2"},
      {"batch", "9"},
      {"curriculum", "dimension all, points all"},
      {"finished", "1"},
      {"format", "pt"},
      {"freeze", ""},
      {"key", text(small_start().stage_key().high(), " ", small_start().stage_key().low())},
      {"loss", file.metadata_at("loss")},
      {"loss weights", ""},
      {"model",
       "dimension 2, layers 1, heads 2, width 8, hidden 16, vocabulary 6, positions 11, outputs 1, precision fp32"},
      {"optimiser", small_optimiser().describe()},
      {"stage", "pretrain"},
      {"step", "7"},
      {"steps", "7"},
      {"task", file.metadata_at("task")},
      {"version", text(INCONTEXT_VERSION_MAJOR, ".", INCONTEXT_VERSION_MINOR, ".", INCONTEXT_VERSION_PATCH)}};
  CHECK(file.metadata == expected);

  SmallModel loaded = small_model(99);
  load(file, "", loaded.parameters());
  CHECK(same_parameters(loaded.parameters(), run.model().parameters()));
  CHECK(file.at<float>("optimiser/1.0.adam.second_moment/read_out.weight").shape ==
        file.at<float>("read_out.weight").shape);
}

TEST_CASE("names and shapes in the file are GPT-2's") {
  const FinishedStage finished;
  const TensorFile file = load_tensors(finished.file());
  const std::map<std::string, std::vector<Index>> expected = {{"transformer.wte.weight", {6, 8}},
                                                              {"transformer.wpe.weight", {11, 8}},
                                                              {"transformer.h.0.ln_1.weight", {8}},
                                                              {"transformer.h.0.ln_1.bias", {8}},
                                                              {"transformer.h.0.attn.c_attn.weight", {8, 24}},
                                                              {"transformer.h.0.attn.c_attn.bias", {24}},
                                                              {"transformer.h.0.attn.c_proj.weight", {8, 8}},
                                                              {"transformer.h.0.attn.c_proj.bias", {8}},
                                                              {"transformer.h.0.ln_2.weight", {8}},
                                                              {"transformer.h.0.ln_2.bias", {8}},
                                                              {"transformer.h.0.mlp.c_fc.weight", {8, 16}},
                                                              {"transformer.h.0.mlp.c_fc.bias", {16}},
                                                              {"transformer.h.0.mlp.c_proj.weight", {16, 8}},
                                                              {"transformer.h.0.mlp.c_proj.bias", {8}},
                                                              {"transformer.ln_f.weight", {8}},
                                                              {"transformer.ln_f.bias", {8}}};
  for (const auto& tensor : expected) {
    CAPTURE(tensor.first);
    CHECK(file.at<float>(tensor.first).shape == tensor.second);
  }
}

TEST_CASE("a checkpoint of another run is refused by the setting and both values") {
  const FinishedStage finished;
  CHECK(finished.refusal(pretrain(3), small_start()) == "resumed");
  const auto with = [](auto change) {
    TrainSettings settings = steps_of(3);
    change(settings);
    return Pretrain{broad_task(), small_optimiser(), settings};
  };
  says(finished.refusal(pretrain(4), small_start()), "steps is '3' there and '4' here");
  says(finished.refusal(Pretrain{with_noise(broad_task(), 0.1), small_optimiser(), steps_of(3)}, small_start()),
       "task is");
  says(finished.refusal(with([](auto& settings) { settings.batch = 5; }), small_start()),
       "batch is '9' there and '5' here");
  says(finished.refusal(with([](auto& settings) {
                          settings.freeze = {"read_out.*", "*.bias"};
                        }),
                        small_start()),
       "freeze is '' there and 'read_out.* *.bias' here");
  says(finished.refusal(with([](auto& settings) {
                          settings.curriculum.points = {2, 1, 10};
                        }),
                        small_start()),
       "curriculum is 'dimension all, points all' there and 'dimension all, points from 2 by 1 every 10' here");
  says(finished.refusal(with([](auto& settings) {
                          settings.loss.weights = {1, 0.5, 0, 1};
                        }),
                        small_start()),
       "loss weights is '' there and '1 0.5 0 1' here");
  says(finished.refusal(Pretrain{broad_task(), rate(0.5), steps_of(3)}, small_start()),
       "there and 'rate(constant(0.5))' here");
  says(finished.refusal(Pretrain{broad_task(), small_optimiser(), steps_of(3), "other"}, small_start()),
       "stage is 'pretrain' there and 'other' here");
  says(finished.refusal(pretrain(3), start(small_model(), Key{77})), "key is '");
  const SmallModel wide({.dimension = 2, .points = 4, .layers = 1, .heads = 2, .width = 16}, Key{1});
  says(finished.refusal(pretrain(3), start(wide, Key{2})), "width 16");
  says(finished.refusal(pretrain(3), start(small_model().cast<double>(), Key{2})), "expected F64");
}

TEST_CASE("a broken file is refused by its name") {
  const FinishedStage finished;
  const std::string bytes = content_of(finished.file());
  const auto replace = [&](const std::string& content) { std::ofstream(finished.file(), std::ios::binary) << content; };
  for (const std::string& broken : {std::string(), bytes.substr(0, 5), bytes.substr(0, bytes.size() / 2), bytes + "x",
                                    std::string("loss,step\n")}) {
    CAPTURE(broken.size());
    replace(broken);
    says(finished.refusal(pretrain(3), small_start()), finished.file().string());
  }
  const auto change = [&](const std::string& name, const std::string& value) {
    replace(bytes);
    TensorFile file = load_tensors(finished.file());
    file.metadata[name] = value;
    save_tensors(finished.file(), file);
  };
  change("step", "many");
  says(finished.refusal(pretrain(3), small_start()), "metadata 'step' is 'many', expected a number");
  change("step", "4");
  says(finished.refusal(pretrain(3), small_start()), "metadata 'step' is 4, expected 0 to 3");
  change("step", "-1");
  says(finished.refusal(pretrain(3), small_start()), "metadata 'step' is -1, expected 0 to 3");
  change("loss", "1.5 or so");
  says(finished.refusal(pretrain(3), small_start()), "metadata 'loss' is '1.5 or so', expected a number");
  // Any other safetensors file.
  TensorFile foreign;
  store(foreign, "", small_model().parameters());
  save_tensors(finished.file(), foreign);
  says(finished.refusal(pretrain(3), small_start()), "no metadata is named");
}

TEST_CASE("settings and folders that make no sense are refused before any work") {
  const TemporaryFolder folder("checkpoint_refused");
  CHECK_THROWS_WITH_AS(Checkpoint(Checkpoint::Settings{.folder = folder.path(), .every = 0}),
                       "Checkpoint: every is 0, expected at least 1", ConfigurationError);
  const Folder file = folder.path() / "file";
  std::ofstream(file) << "not a folder";
  for (const Folder& wrong : {file, file / "inside"}) {
    CHECK_THROWS_WITH_AS(Checkpoint(Checkpoint::Settings{.folder = wrong}),
                         doctest::Contains("Checkpoint: cannot make the folder"), FileError);
  }
  CHECK_NOTHROW(Checkpoint(Checkpoint::Settings{.folder = folder.path() / "new" / "deep"}));
  CHECK(std::filesystem::is_directory(folder.path() / "new" / "deep"));
}

TEST_CASE("a run with a loss that is not finite names the step and keeps the last good checkpoint") {
  const TemporaryFolder folder("checkpoint_non_finite");
  // A huge learning rate, without clipping, from step 4 on.
  struct Explosion {
    double operator()(Index step) const { return step < 4 ? 0.01 : 1e30; }
    [[nodiscard]] std::string describe() const { return "explosion"; }
  };
  const auto stage = [](Index steps) { return Pretrain{broad_task(), rate(Explosion{}), steps_of(steps)}; };
  Checkpoint checkpoint{{.folder = folder.path(), .every = 2}};
  CHECK_THROWS_WITH_AS(static_cast<void>(run_stage(stage(50), small_start(), checkpoint)),
                       doctest::Contains("step 5: the loss is"), NonFiniteError);
  const TensorFile file = load_tensors(stage_file(folder, "0"));
  SmallModel model = small_model();
  load(file, "", model.parameters());
  CHECK(std::all_of(model.parameters().values().begin(), model.parameters().values().end(),
                    [](float value) { return std::isfinite(value); }));
  CHECK(file.metadata_at("finished") == "0");
  CHECK(file.metadata_at("step") == "4");
  CHECK(same_parameters(model.parameters(), run_stage(stage(4), small_start()).model().parameters()));
}
