#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/io/safetensors.hpp"

#include "temporary_folder.hpp"

#include <doctest/doctest.h>

#if defined(INCONTEXT_HAS_POSIX_FILES)
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace incontext;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kills = 60;
constexpr Index elements = Index{1} << 19U;  // 2 MB of floats: most of a save is writing

std::shared_ptr<const ParameterLayout> checkpoint_layout() {
  ParameterLayout layout;
  layout.declare("weights", {elements / 1024, 1024});
  layout.declare("step", {1});
  return std::make_shared<const ParameterLayout>(layout);
}

// A checkpoint that shows in every byte which version it is. Versions stay below 2^24, so a float holds them exactly.
TensorFile checkpoint(ParameterBuffer<float>& buffer, Index version) {
  std::fill(buffer.values().begin(), buffer.values().end(), static_cast<float>(version));
  TensorFile file;
  file.metadata["version"] = std::to_string(version);
  store(file, "model.", buffer);
  return file;
}

// Says through `pipe` that it begins, and saves one version after the other until the process is killed. It leaves by
// no other way: nothing that the parent has set up may run twice.
[[noreturn]] void save_for_ever(const std::filesystem::path& path, ParameterBuffer<float>& buffer, Index version,
                                int pipe) {
  try {
    if (::write(pipe, "!", 1) == 1) {
      for (;; ++version) {
        save_tensors(path, checkpoint(buffer, version));
      }
    }
  } catch (...) {
  }
  ::_exit(1);
}

// The version of the checkpoint at `path` if every value in it is of that version, and -1 if they are mixed.
Index complete_version(const std::filesystem::path& path, ParameterBuffer<float>& buffer) {
  const TensorFile file = load_tensors(path);
  load(file, "model.", buffer);
  const float version = std::stof(file.metadata_at("version"));
  bool equal = true;
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    const float* first = buffer.data() + entry.offset;
    equal = equal && std::all_of(first, first + entry.size, [&](float value) { return value == version; });
  }
  return equal ? static_cast<Index>(version) : -1;
}

Index part_files(const TemporaryFolder& folder) {
  const std::vector<std::string> names = folder.file_names();
  return std::count_if(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".part"); });
}

}  // namespace

TEST_CASE("a process killed at any moment while saving leaves one complete checkpoint") {
  const TemporaryFolder folder("kill_during_save");
  const std::filesystem::path path = folder.path() / "checkpoint.safetensors";
  ParameterBuffer<float> buffer(checkpoint_layout());

  Index version = 0;
  std::chrono::duration<double> one_save = std::chrono::milliseconds(50);  // at most: slow disks must not slow the test
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Clock::time_point before_saving = Clock::now();
    save_tensors(path, checkpoint(buffer, ++version));
    one_save = (std::min)(one_save, std::chrono::duration<double>(Clock::now() - before_saving));
  }

  // Kills fall anywhere in the first three saves of a process. Where exactly is left to chance and the scheduler;
  // that some of them fall into a save is checked below.
  Stream moments{Key(2024).fold("moments of the kills")};
  Index kills_while_saving = 0;
  for (int kill = 0; kill < kills; ++kill) {
    const Index parts_before = part_files(folder);
    int pipe[2] = {};
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      save_for_ever(path, buffer, version + 1, pipe[1]);
    }
    ::close(pipe[1]);
    char started = 0;
    const bool has_started = ::read(pipe[0], &started, 1) == 1;
    ::close(pipe[0]);
    std::this_thread::sleep_for(moments.uniform(0.0, 3.0) * one_save);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(has_started);
    REQUIRE(WIFSIGNALED(status));  // and not by an error of its own

    const Index found = complete_version(path, buffer);
    REQUIRE(found >= version);
    version = found;
    kills_while_saving += part_files(folder) - parts_before;
  }

  // The test would be void if every kill had fallen between two saves.
  CHECK(kills_while_saving >= 1);
  MESSAGE(kills_while_saving, " of ", kills, " kills fell into a save; ", version, " versions were saved");

  // The next save is not disturbed by what the killed ones left.
  save_tensors(path, checkpoint(buffer, version + 1));
  CHECK(complete_version(path, buffer) == version + 1);
  CHECK(part_files(folder) == kills_while_saving);
}

#endif
