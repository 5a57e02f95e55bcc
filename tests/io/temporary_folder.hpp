#pragma once

#include "incontext/core/error.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

/// A new folder that is removed, with what is in it, at the end of its scope.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::string_view name) {
    for (int attempt = 0; path_.empty(); ++attempt) {
      const auto candidate = std::filesystem::temp_directory_path() / incontext::text("incontext_", name, "_", attempt);
      if (std::filesystem::create_directory(candidate)) {  // nobody else has it
        path_ = candidate;
      }
    }
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> file_names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

/// The bytes of a file.
inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
