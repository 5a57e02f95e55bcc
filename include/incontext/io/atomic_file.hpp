#pragma once
/// \file
/// Files that are replaced as a whole: whoever opens the path finds the old content or the new, never a part of either.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <cerrno>
#include <concepts>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#define INCONTEXT_HAS_POSIX_FILES
#include <fcntl.h>
#include <unistd.h>
#endif

INCONTEXT_NAMESPACE_BEGIN

/// The temporary file that `write_atomically` fills. Every failure removes it and raises a FileError.
class PartFile {
 public:
  /// Creates `<target>.<process>.<attempt>.part` in the target's folder. No other writer has that name: the file is
  /// opened for exclusive creation, and what a killed process left behind is stepped over.
  /// \throws FileError if it cannot be created
  explicit PartFile(const std::filesystem::path& target) : target_(target) {
    for (int attempt = 0; file_ == nullptr; ++attempt) {
      part_ = target_;
      part_ += text(".", process(), ".", attempt, ".part");
      errno = 0;
      file_ = std::fopen(part_.string().c_str(), "wbx");
      if (file_ == nullptr && errno != EEXIST) {
        fail("create the temporary file", last_error());
      }
    }
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() { discard(); }

  /// Appends bytes. \throws FileError if the disk is full or fails
  void write(std::string_view bytes) {
    errno = 0;
    if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
      fail("write the temporary file", last_error());
    }
  }

  /// Brings the bytes to the disk and gives them the target's name. \throws FileError if any step fails; the target
  /// then still has its old content, unless it was the last step, telling the disk of the new name, that failed
  void commit() {
    errno = 0;
    if (std::fflush(file_) != 0 || !synchronise_file()) {
      fail("write the temporary file to the disk", last_error());
    }
    if (std::fclose(std::exchange(file_, nullptr)) != 0) {
      fail("close the temporary file", last_error());
    }
    std::error_code failure;
    std::filesystem::rename(part_, target_, failure);
    if (failure) {
      fail("rename the temporary file", failure);
    }
    part_.clear();
    if (!synchronise_folder()) {
      fail("write its folder to the disk", last_error());
    }
  }

 private:
  static std::error_code last_error() { return {errno, std::generic_category()}; }

  // Removes the temporary file before raising, since nothing is unwound where exceptions are off.
  [[noreturn]] void fail(std::string_view step, std::error_code reason) {
    const std::string temporary = part_.empty() ? std::string() : text(" (", part_.string(), ")");
    discard();
    raise<FileError>(text(target_.string(), ": could not ", step, temporary, ": ", reason.message()));
  }

  void discard() noexcept {
    if (file_ != nullptr) {
      std::fclose(std::exchange(file_, nullptr));
    } else if (part_.empty()) {
      return;
    }
    std::error_code ignored;
    std::filesystem::remove(part_, ignored);
    part_.clear();
  }

#if defined(INCONTEXT_HAS_POSIX_FILES)
  static long long process() { return ::getpid(); }
  bool synchronise_file() { return ::fsync(::fileno(file_)) == 0; }
  // The new name is itself data: of the folder.
  bool synchronise_folder() {
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      return false;
    }
    const bool synchronised = ::fsync(descriptor) == 0 || errno == EINVAL;  // EINVAL: folders need no sync here
    const int reason = errno;
    ::close(descriptor);
    errno = reason;
    return synchronised;
  }
#else
  static long long process() { return 0; }
  bool synchronise_file() { return true; }
  bool synchronise_folder() { return true; }
#endif

  std::filesystem::path target_;
  std::filesystem::path part_;
  std::FILE* file_ = nullptr;
};

/// Replaces the file at `path` by what `writer(PartFile&)` writes: into a temporary file in the same folder, which is
/// synced, renamed over the target, and the folder synced. A process killed at any moment leaves the previous file as
/// it was; it may also leave a `.part` file, which may be deleted once no process writes. A symbolic link at `path`
/// is replaced, not followed. Outside POSIX nothing is synced: the replacement is then only as safe as its rename.
/// \throws FileError naming the path, the step and the system's reason; the temporary file is removed
template <std::invocable<PartFile&> Writer>
void write_atomically(const std::filesystem::path& path, Writer&& writer) {
  PartFile part(path);
  std::forward<Writer>(writer)(part);
  part.commit();
}

/// Replaces the file at `path` by `bytes`. \throws FileError
inline void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
  write_atomically(path, [bytes](PartFile& part) { part.write(bytes); });
}

INCONTEXT_NAMESPACE_END
