// Feeds arbitrary bytes to the reader of safetensors files. What it accepts has to survive being written and read
// again; everything else has to be a FileError.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -isystem /usr/include/eigen3 \
//       tests/fuzz/fuzz_safetensors.cpp -o fuzz_safetensors
//   mkdir found && ./fuzz_safetensors -dict=tests/fuzz/safetensors.dict -max_len=4096 found tests/fuzz/corpus

#include "incontext/io/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace incontext;
  try {
    const TensorFile file = parse_tensors({reinterpret_cast<const char*>(data), size}, "input");
    const std::string written = format_tensors(file);
    const TensorFile again = parse_tensors(written, "written");
    if (!(again == file) || format_tensors(again) != written) {
      std::abort();
    }
  } catch (const FileError&) {
  }
  return 0;
}
