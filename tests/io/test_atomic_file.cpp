#include "incontext/io/atomic_file.hpp"

#include "temporary_folder.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#if defined(INCONTEXT_HAS_POSIX_FILES)
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#endif

using namespace incontext;

namespace {

std::string message_of(const std::filesystem::path& path) {
  try {
    write_atomically(path, "never read");
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("write_atomically creates a file and replaces it, leaving nothing else") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  const std::string every_byte = [] {
    std::string bytes;
    for (int value = 0; value < 256; ++value) {
      bytes += static_cast<char>(value);
    }
    return bytes;
  }();
  for (const std::string& bytes :
       {std::string("long first content"), std::string("short"), every_byte, std::string()}) {
    write_atomically(path, bytes);
    CHECK(content_of(path) == bytes);
    CHECK(folder.file_names() == std::vector<std::string>{"state"});
  }
}

TEST_CASE("the previous content can be read until the writer is done") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  write_atomically(path, "previous");
  write_atomically(path, [&](PartFile& part) {
    part.write("first half, ");
    CHECK(content_of(path) == "previous");
    CHECK(folder.file_names().size() == 2);
    part.write("second half");
    CHECK(content_of(path) == "previous");
  });
  CHECK(content_of(path) == "first half, second half");
}

TEST_CASE("a writer that fails leaves the previous file and no temporary one") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  write_atomically(path, "previous");
  const auto failing = [](PartFile& part) {
    part.write("half of the new content");
    raise<NonFiniteError>("the other half is not finite");
  };
  CHECK_THROWS_AS(write_atomically(path, failing), NonFiniteError);
  CHECK(content_of(path) == "previous");
  CHECK(folder.file_names() == std::vector<std::string>{"state"});
}

TEST_CASE("what other writers left behind, or are still writing, does not disturb a save") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  write_atomically(path, [&](PartFile& outer) {
    outer.write("outer");
    write_atomically(path, [&](PartFile& inner) {
      inner.write("inner");
      CHECK(folder.file_names().size() == 2);
    });
    CHECK(content_of(path) == "inner");
  });
  CHECK(content_of(path) == "outer");
  CHECK(folder.file_names() == std::vector<std::string>{"state"});
}

TEST_CASE("a file in the working folder needs no folder in its name") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_atomically("state", "here");
  std::filesystem::current_path(before);
  CHECK(content_of(folder.path() / "state") == "here");
}

TEST_CASE("errors name the path, the step and the reason, and leave no temporary file") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path missing = folder.path() / "missing" / "state";
  const std::string no_folder = message_of(missing);
  CHECK_MESSAGE(no_folder.find(missing.string() + ": could not create the temporary file") == 0, no_folder);
  CHECK_MESSAGE(no_folder.find(std::generic_category().message(ENOENT)) != std::string::npos, no_folder);

  const std::filesystem::path occupied = folder.path() / "occupied";
  std::filesystem::create_directory(occupied);
  const std::string is_folder = message_of(occupied);
  CHECK_MESSAGE(is_folder.find(occupied.string() + ": could not rename the temporary file") == 0, is_folder);
  CHECK(folder.file_names() == std::vector<std::string>{"occupied"});
}

#if defined(INCONTEXT_HAS_POSIX_FILES)
TEST_CASE("a saved file has the permissions of any new file, not those of a private temporary one") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  const mode_t mask = ::umask(022);
  write_atomically(path, "for the whole group");
  ::umask(mask);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("a disk that takes no more is an error that names the path and the reason, and the previous file stays") {
  const TemporaryFolder folder("atomic_file");
  const std::filesystem::path path = folder.path() / "state";
  write_atomically(path, "previous");
  for (const std::size_t size :
       {std::size_t{1'000}, std::size_t{1'000'000}}) {  // fails when the last buffer is flushed, and while writing
    const std::string bytes(size, 'x');
    std::string message = "no error";
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit small{100, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
    try {
      write_atomically(path, bytes);
    } catch (const FileError& error) {
      message = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK_MESSAGE(message.find(path.string() + ": could not write the temporary file") == 0, message);
    CHECK_MESSAGE(message.find(std::generic_category().message(EFBIG)) != std::string::npos, message);
    CHECK(content_of(path) == "previous");
    CHECK(folder.file_names() == std::vector<std::string>{"state"});
  }
}
#endif
