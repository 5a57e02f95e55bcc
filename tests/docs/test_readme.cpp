// The programs that the documentation shows are programs that compile and run: the README's is the quickstart, and
// the code of docs/concepts.md is taken from examples/extending.cpp.

#include "incontext/core/config.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::string content_of(const std::string& path) {
  std::ifstream stream(std::string(INCONTEXT_SOURCE_DIR) + "/" + path, std::ios::binary);
  REQUIRE_MESSAGE(stream.good(), "cannot read ", path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// What stands between the fences of every ```cpp block.
std::vector<std::string> cpp_blocks(const std::string& markdown) {
  const std::string open = "\n```cpp\n";
  const std::string close = "\n```\n";
  std::vector<std::string> blocks;
  for (std::size_t fence = markdown.find(open); fence != std::string::npos; fence = markdown.find(open, fence)) {
    const std::size_t first = fence + open.size();
    const std::size_t last = markdown.find(close, first);
    REQUIRE_MESSAGE(last != std::string::npos, "a ```cpp block is not closed");
    blocks.push_back(markdown.substr(first, last + 1 - first));
    fence = last;
  }
  return blocks;
}

}  // namespace

TEST_CASE("the program in the README is examples/quickstart.cpp") {
  const std::vector<std::string> blocks = cpp_blocks(content_of("README.md"));
  REQUIRE(blocks.size() == 1);
  CHECK(blocks.front() == content_of("examples/quickstart.cpp"));
}

TEST_CASE("all code in docs/concepts.md occurs in examples/extending.cpp") {
  const std::string program = content_of("examples/extending.cpp");
  const std::vector<std::string> blocks = cpp_blocks(content_of("docs/concepts.md"));
  CHECK(blocks.size() >= 5);  // a task, a map, a predictor, a layer, an observer
  for (const std::string& block : blocks) {
    INFO(block);
    CHECK(program.find(block) != std::string::npos);
  }
}
