#include "incontext/io/safetensors.hpp"

#include "incontext/core/key.hpp"
#include "temporary_folder.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

using namespace incontext;
using namespace std::string_literals;

namespace {

// Values whose bits are easily lost: signed zero, subnormals, infinities, quiet and signalling NaNs with payloads.
std::vector<float> delicate_floats() {
  std::vector<float> values = {0.0F,
                               -0.0F,
                               1.0F,
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity()};
  for (const std::uint32_t bits : {0x7FC00001U, 0xFFC12345U, 0x7F800001U, 0xFFBFFFFFU}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  return values;
}
std::vector<double> delicate_doubles() {
  std::vector<double> values = {-0.0, std::numeric_limits<double>::denorm_min(),
                                -std::numeric_limits<double>::infinity()};
  for (const std::uint64_t bits : {0x7FF8000000000001U, 0xFFF8123456789ABCU, 0x7FF0000000000001U}) {
    values.push_back(std::bit_cast<double>(bits));
  }
  return values;
}

template <class Element>
void add(TensorFile& file, const std::string& name, std::vector<Index> shape, const std::vector<Element>& values) {
  file.add<Element>(name, std::move(shape), values);
}

TensorFile example() {
  TensorFile file;
  file.metadata = {{"step", "400"}, {"quotes \" and \\", "line\nbreak, zero \0 and \xc3\xa9"s}};
  add(file, "odd", {3}, std::vector<std::int8_t>{-1, 0, 1});
  add(file, "floats", {2, 5}, delicate_floats());
  add(file, "doubles", {6}, delicate_doubles());
  add(file, "step", {}, std::vector<std::uint64_t>{0xFEDCBA9876543210U});
  add(file, "empty", {0, 4}, std::vector<float>{});
  return file;
}

std::shared_ptr<const ParameterLayout> example_layout() {
  ParameterLayout layout;
  layout.declare("first.weight", {3, 7});  // 21 elements: padding follows
  layout.declare("first.bias", {7});
  layout.declare("second.weight", {7, 2});
  return std::make_shared<const ParameterLayout>(layout);
}

// A buffer whose every bit pattern is random: many NaNs among them.
template <class Scalar>
ParameterBuffer<Scalar> random_bits(Key key) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
  ParameterBuffer<Scalar> buffer(example_layout());
  Stream stream(key);
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    for (Index index = 0; index < entry.size; ++index) {
      buffer.data()[entry.offset + index] = std::bit_cast<Scalar>(static_cast<Bits>(stream.bits()));
    }
  }
  return buffer;
}

template <class Scalar>
bool same_bits(const ParameterBuffer<Scalar>& left, const ParameterBuffer<Scalar>& right) {
  return left.layout() == right.layout() &&
         std::memcmp(left.data(), right.data(), static_cast<std::size_t>(left.size()) * sizeof(Scalar)) == 0;
}

// Whether the bytes parse; everything but a FileError, or a parse that cannot be written again, fails the test.
bool parses(std::string_view bytes) {
  try {
    const TensorFile file = parse_tensors(bytes, "mutation");
    REQUIRE(parse_tensors(format_tensors(file), "again") == file);
    return true;
  } catch (const FileError&) {
    return false;
  }
}

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("what is saved is what is loaded, bit for bit") {
  const TemporaryFolder folder("safetensors");
  const std::filesystem::path path = folder.path() / "example.safetensors";
  const TensorFile saved = example();
  save_tensors(path, saved);
  const TensorFile loaded = load_tensors(path);
  CHECK(loaded == saved);
  CHECK(loaded.origin == path.string());
  CHECK(loaded.values<std::int8_t>("odd") == std::vector<std::int8_t>{-1, 0, 1});
  CHECK(loaded.values<std::uint64_t>("step") == std::vector<std::uint64_t>{0xFEDCBA9876543210U});
  CHECK(loaded.values<float>("empty").empty());
  CHECK(loaded.metadata_at("step") == "400");

  const std::vector<float> floats = loaded.values<float>("floats");
  REQUIRE(floats.size() == delicate_floats().size());
  for (std::size_t index = 0; index < floats.size(); ++index) {
    CHECK(std::bit_cast<std::uint32_t>(floats[index]) == std::bit_cast<std::uint32_t>(delicate_floats()[index]));
  }
  const std::vector<double> doubles = loaded.values<double>("doubles");
  REQUIRE(doubles.size() == delicate_doubles().size());
  for (std::size_t index = 0; index < doubles.size(); ++index) {
    CHECK(std::bit_cast<std::uint64_t>(doubles[index]) == std::bit_cast<std::uint64_t>(delicate_doubles()[index]));
  }
  CHECK(content_of(path) == format_tensors(saved));
  CHECK(folder.file_names() == std::vector<std::string>{"example.safetensors"});
}

TEST_CASE("a small file has exactly these bytes") {
  TensorFile file;
  file.metadata = {{"format", "pt"}};
  add(file, "b", {2}, std::vector<float>{1.0F, -2.0F});
  add(file, "a", {1, 2}, std::vector<float>{0.5F, -0.0F});
  add(file, "wide", {}, std::vector<double>{1.0});
  add(file, "narrow", {3}, std::vector<std::uint8_t>{1, 2, 255});
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("wide":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},)"
                             R"("narrow":{"dtype":"U8","shape":[3],"data_offsets":[24,27]}})";
  REQUIRE(header.size() == 257);  // 55 spaces pad 8 + 257 bytes to 5 * 64, and the length becomes 312 = 0x138
  const std::string expected = "\x38\x01\0\0\0\0\0\0"s + header + std::string(55, ' ') +
                               "\0\0\0\0\0\0\xf0\x3f"                  // 1.0 as F64
                               "\0\0\0\x3f\0\0\0\x80"                  // 0.5, -0.0
                               "\0\0\x80\x3f\0\0\0\xc0\x01\x02\xff"s;  // 1.0, -2.0; 1, 2, 255
  CHECK(format_tensors(file) == expected);
  CHECK(parse_tensors(expected, "literal") == file);
}

TEST_CASE("a file from elsewhere may pad its header by any number of spaces and order its tensors as it likes") {
  const std::string header =
      R"({"z":{"shape":[1],"dtype":"F32","data_offsets":[4,8]},"a":{"dtype":"F32","data_offsets":[0,4],"shape":[1]}} )";
  const std::string bytes = static_cast<char>(header.size()) + "\0\0\0\0\0\0\0"s + header + "\0\0\x80\x3f\0\0\0\x40"s;
  const TensorFile file = parse_tensors(bytes, "foreign");
  CHECK(file.values<float>("a") == std::vector<float>{1.0F});
  CHECK(file.values<float>("z") == std::vector<float>{2.0F});
}

TEST_CASE("equal content gives equal bytes, in whatever order it was added") {
  TensorFile reversed;
  const TensorFile forward = example();
  for (auto tensor = forward.tensors.rbegin(); tensor != forward.tensors.rend(); ++tensor) {
    reversed.tensors.insert(*tensor);
  }
  for (auto entry = forward.metadata.rbegin(); entry != forward.metadata.rend(); ++entry) {
    reversed.metadata.insert(*entry);
  }
  reversed.origin = "elsewhere";
  CHECK(format_tensors(reversed) == format_tensors(forward));
  CHECK(format_tensors(parse_tensors(format_tensors(forward), "again")) == format_tensors(forward));
}

TEST_CASE("the data starts on a cache line and every tensor is aligned to its own elements") {
  const std::string bytes = format_tensors(example());
  const std::size_t length = static_cast<unsigned char>(bytes[0]) + 256U * static_cast<unsigned char>(bytes[1]);
  CHECK((8 + length) % 64 == 0);
  const SafetensorsHeader header = parse_safetensors_header(bytes.substr(8, length), bytes.size() - 8 - length, "file");
  for (const auto& tensor : header.tensors) {
    INFO(tensor.first);
    CHECK(tensor.second.begin % bytes_of(tensor.second.type) == 0);
  }
}

TEST_CASE_TEMPLATE("parameters come back as they went, padding and NaNs included", Scalar, float, double) {
  const TemporaryFolder folder("safetensors");
  const std::filesystem::path path = folder.path() / "checkpoint.safetensors";
  const auto weights = random_bits<Scalar>(Key(1));
  const auto moments = random_bits<Scalar>(Key(2));
  TensorFile file;
  store(file, "", weights);
  store(file, "optimiser.first_moment.", moments);
  save_tensors(path, file);

  const TensorFile loaded = load_tensors(path);
  CHECK(loaded.tensors.size() == 6);
  CHECK(loaded.at<Scalar>("optimiser.first_moment.second.weight").shape == std::vector<Index>{7, 2});
  auto weights_again = ParameterBuffer<Scalar>(example_layout());
  auto moments_again = ParameterBuffer<Scalar>(example_layout());
  load(loaded, "", weights_again);
  load(loaded, "optimiser.first_moment.", moments_again);
  CHECK(same_bits(weights_again, weights));
  CHECK(same_bits(moments_again, moments));
}

TEST_CASE("parameters that do not fit the file are refused before the first is written") {
  const auto saved = random_bits<float>(Key(1));
  TensorFile file;
  file.origin = "run/step_400.safetensors";
  store(file, "model.", saved);
  auto buffer = random_bits<float>(Key(2));
  const auto before = buffer;
  const auto refused = [&](const TensorFile& wrong, const std::string& prefix, auto& into) {
    return error_of([&] { load(wrong, prefix, into); });
  };

  CHECK(refused(file, "modle.", buffer) ==
        "run/step_400.safetensors: no tensor is named \"modle.first.weight\" among its 3, the first is "
        "\"model.first.bias\"");

  TensorFile missing = file;
  missing.tensors.erase("model.second.weight");  // the last to be read
  CHECK(refused(missing, "model.", buffer).find("no tensor is named \"model.second.weight\"") != std::string::npos);

  TensorFile transposed = file;
  transposed.tensors.at("model.second.weight").shape = {2, 7};
  CHECK(refused(transposed, "model.", buffer) ==
        "run/step_400.safetensors: tensor \"model.second.weight\" has the shape [2,7], expected [7,2]");

  ParameterBuffer<double> wide(example_layout());
  CHECK(refused(file, "model.", wide) ==
        "run/step_400.safetensors: tensor \"model.first.weight\" is F32, expected F64");
  CHECK(same_bits(wide, ParameterBuffer<double>(example_layout())));
  CHECK(same_bits(buffer, before));

  load(file, "model.", buffer);
  CHECK(same_bits(buffer, saved));
}

TEST_CASE("a tensor or metadata that is not there, or of another type, is an error that says so") {
  TensorFile file = example();
  file.origin = "example.safetensors";
  CHECK(error_of([&] { (void)file.at("absent"); }).find("example.safetensors: no tensor is named \"absent\"") == 0);
  CHECK(error_of([&] { (void)file.values<double>("floats"); }) ==
        "example.safetensors: tensor \"floats\" is F32, expected F64");
  CHECK(error_of([&] { (void)file.metadata_at("absent"); }) == "example.safetensors: no metadata is named \"absent\"");
  CHECK(error_of([] { (void)TensorFile{}.at("absent"); }) ==
        "tensors in memory: no tensor is named \"absent\" among its 0");
}

TEST_CASE("adding a tensor twice, or with a shape of another size, is refused and changes nothing") {
  TensorFile file = example();
  const std::vector<float> three(3);
  CHECK_THROWS_WITH_AS(file.add<float>("odd", {3}, three), "tensor \"odd\" is added twice", ConfigurationError);
  CHECK_THROWS_WITH_AS(file.add<float>("new", {2}, three), "tensor \"new\": 3 values for the shape [2]", ShapeError);
  CHECK_THROWS_AS(file.add<float>("new", {-3}, three), ShapeError);
  CHECK(file == example());
  const auto parameters = random_bits<float>(Key(1));
  store(file, "model.", parameters);
  CHECK_THROWS_AS(store(file, "model.", parameters), ConfigurationError);
}

TEST_CASE("what could not be read again is not saved, and the previous file stays") {
  const TemporaryFolder folder("safetensors");
  const std::filesystem::path path = folder.path() / "example.safetensors";
  save_tensors(path, example());
  const auto refused = [&](const TensorFile& file) { return error_of([&] { save_tensors(path, file); }); };

  TensorFile ill_formed;
  add(ill_formed, "\xff", {1}, std::vector<float>{1.0F});
  CHECK(refused(ill_formed).find(path.string() + ": the header is not JSON") == 0);

  TensorFile reserved;
  add(reserved, "__metadata__", {1}, std::vector<float>{1.0F});
  CHECK(refused(reserved).find("\"shape\" is a list, expected a string") != std::string::npos);

  TensorFile inconsistent = example();
  inconsistent.tensors.at("floats").shape = {11};
  CHECK(refused(inconsistent).find("expected 44 bytes for F32 [11]") != std::string::npos);
  inconsistent.tensors.at("floats").shape = {-1};
  CHECK(refused(inconsistent).find("\"shape\" holds -1") != std::string::npos);

  CHECK(load_tensors(path) == example());
  CHECK(folder.file_names() == std::vector<std::string>{"example.safetensors"});
}

TEST_CASE("a file that is not there, or no file, is an error that names it") {
  const TemporaryFolder folder("safetensors");
  const std::filesystem::path absent = folder.path() / "absent.safetensors";
  CHECK(error_of([&] { (void)load_tensors(absent); }) ==
        absent.string() + ": could not open the file: " + std::generic_category().message(ENOENT));
  CHECK(error_of([&] { (void)load_tensors(folder.path()); }) == folder.path().string() + ": not a regular file");
  CHECK(error_of([&] { save_tensors(absent / "below", example()); }).find((absent / "below").string()) == 0);
  write_atomically(absent, "");
  CHECK(error_of([&] { (void)load_tensors(absent); }) ==
        absent.string() + ": 0 bytes, expected at least the 8 of the header's length");
}

TEST_CASE("no truncation of a valid file parses") {
  const std::string bytes = format_tensors(example());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(parses(std::string_view(bytes).substr(0, length)));
  }
  CHECK_FALSE(parses(bytes + '\0'));
}

TEST_CASE("a valid file with one byte changed parses or is a FileError, and changed data always parses") {
  const std::string bytes = format_tensors(example());
  constexpr std::size_t data_bytes = 6 * 8 + 8 + 10 * 4 + 3;
  const std::size_t data = bytes.size() - data_bytes;
  Index accepted = 0;
  Stream stream(Key(7));
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (int change = 0; change < 6; ++change) {
      std::string changed = bytes;
      // Single bits, which turn digits into digits and quotes into other marks, and arbitrary bytes.
      const std::uint64_t random = stream.bits();
      const unsigned mask = change < 3 ? 1U << (random % 8U) : static_cast<unsigned>(1 + random % 255U);
      changed[place] = static_cast<char>(static_cast<unsigned char>(changed[place]) ^ mask);
      const bool parsed = parses(changed);
      accepted += parsed ? 1 : 0;
      CAPTURE(place);
      CHECK((parsed || place < data));
      CHECK((!parsed || place >= 8));  // another length of the header never fits
    }
  }
  CHECK(accepted > static_cast<Index>(6 * data_bytes));  // letters of names and metadata may change as well
}

TEST_CASE("the corpus of the fuzz target is accepted or refused as its file names say") {
  Index accepted = 0;
  Index refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(INCONTEXT_SOURCE_DIR "/tests/fuzz/corpus")) {
    const std::string name = entry.path().filename().string();
    INFO(name);
    const std::string error = error_of([&] {
      const TensorFile file = load_tensors(entry.path());
      CHECK(parse_tensors(content_of(entry.path()), "the same bytes") == file);
      CHECK(parse_tensors(format_tensors(file), "written again") == file);
    });
    if (name.starts_with("accept_")) {
      CHECK(error == "no error");
      ++accepted;
    } else {
      CHECK(name.starts_with("refuse_"));
      CHECK(error.find(entry.path().string() + ": ") == 0);
      ++refused;
    }
  }
  CHECK(accepted >= 10);
  CHECK(refused >= 20);
}
