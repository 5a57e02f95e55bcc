#include "incontext/io/safetensors_header.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

using namespace incontext;

namespace {

// The error for a header, or "accepted".
std::string verdict(const std::string& header, std::uint64_t data_bytes) {
  try {
    (void)parse_safetensors_header(header, data_bytes, "weights.safetensors");
  } catch (const FileError& error) {
    return error.what();
  }
  return "accepted";
}

std::string one_tensor(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

std::string two_tensors(const std::string& first, const std::string& second) {
  return R"({"a":{"dtype":"U8",)" + first + R"(},"b":{"dtype":"U8",)" + second + "}}";
}

std::string repeated(const std::string& piece, int times) {
  std::string result;
  for (int time = 0; time < times; ++time) {
    result += piece;
  }
  return result;
}

struct Case {
  std::string header;
  std::uint64_t data_bytes;
  std::string expected;  // in the error
};

}  // namespace

TEST_CASE("the types have the names and widths of the format") {
  static_assert(data_type_of<float>() == DataType::f32);
  static_assert(data_type_of<double>() == DataType::f64);
  static_assert(data_type_of<bool>() == DataType::boolean);
  static_assert(data_type_of<std::int8_t>() == DataType::i8);
  static_assert(data_type_of<std::uint8_t>() == DataType::u8);
  static_assert(data_type_of<std::int16_t>() == DataType::i16);
  static_assert(data_type_of<std::uint16_t>() == DataType::u16);
  static_assert(data_type_of<std::int32_t>() == DataType::i32);
  static_assert(data_type_of<std::uint32_t>() == DataType::u32);
  static_assert(data_type_of<std::int64_t>() == DataType::i64);
  static_assert(data_type_of<std::uint64_t>() == DataType::u64);
  static_assert(data_type_of<Index>() == DataType::i64);
  CHECK(name_of(DataType::boolean) == "BOOL");
  CHECK(name_of(DataType::bf16) == "BF16");
  CHECK(bytes_of(DataType::bf16) == 2);
  CHECK(name_of(DataType::f32) == "F32");
  CHECK(bytes_of(DataType::f32) == 4);
  CHECK(name_of(DataType::f64) == "F64");
  CHECK(bytes_of(DataType::f64) == 8);
}

TEST_CASE("a header says what it says, in whatever order") {
  const SafetensorsHeader header = parse_safetensors_header(
      R"({ "late": {"data_offsets": [6, 30], "shape": [2, 3], "dtype": "F32"},
           "__metadata__": {"step": "400", "empty": ""},
           "early": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
           "scalar": {"dtype": "I64", "shape": [], "data_offsets": [30, 38]},
           "nothing": {"dtype": "F64", "shape": [4, 0], "data_offsets": [6, 6]} }   )",
      38, "header");
  CHECK(header.metadata == std::map<std::string, std::string>{{"step", "400"}, {"empty", ""}});
  REQUIRE(header.tensors.size() == 4);
  CHECK(header.tensors.at("late") == TensorEntry{DataType::f32, {2, 3}, 6, 30});
  CHECK(header.tensors.at("early") == TensorEntry{DataType::bf16, {3}, 0, 6});
  CHECK(header.tensors.at("scalar") == TensorEntry{DataType::i64, {}, 30, 38});
  CHECK(header.tensors.at("nothing") == TensorEntry{DataType::f64, {4, 0}, 6, 6});
  std::vector<std::string> order;
  for (const auto* tensor : header.in_data_order()) {
    order.push_back(tensor->first);
  }
  CHECK(order == std::vector<std::string>{"early", "nothing", "late", "scalar"});
}

TEST_CASE("a formatted header is read back, and ends on a cache line, whatever its length") {
  SafetensorsHeader header;
  for (Index length = 0; length < 70; ++length) {
    header.metadata["note"] = std::string(static_cast<std::size_t>(length), 'x') + "\"\\/\n\x01\x7f\xc3\xa9";
    header.tensors["weights \"w\"\t"] = {DataType::f64, {length}, 0, 8 * length};
    const std::string bytes = format_safetensors_header(header);
    CHECK(bytes.size() % 64 == 0);
    CHECK(parse_safetensors_header(bytes.substr(8), static_cast<std::uint64_t>(8 * length), "header") == header);
  }
}

TEST_CASE("the length in front of a header is checked against the file and the limit") {
  const auto length_of = [](std::array<unsigned char, 8> start, std::uint64_t file_bytes) {
    return parse_safetensors_length(start, file_bytes, "file");
  };
  CHECK(length_of({2, 0, 0, 0, 0, 0, 0, 0}, 10) == 2);
  CHECK(length_of({1, 2, 3, 0, 0, 0, 0, 0}, 1'000'000) == 0x030201);
  CHECK(length_of({0x00, 0xE1, 0xF5, 0x05, 0, 0, 0, 0}, 100'000'008) == 100'000'000);
  CHECK_THROWS_WITH_AS(length_of({3, 0, 0, 0, 0, 0, 0, 0}, 10),
                       "file: a header of 3 bytes reaches beyond the file of 10 bytes", FileError);
  CHECK_THROWS_WITH_AS(length_of({0, 0, 0, 0, 0, 0, 0, 0}, 7),
                       "file: a header of 0 bytes reaches beyond the file of 7 bytes", FileError);
  CHECK_THROWS_AS(length_of({0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0}, 200'000'000), FileError);
  CHECK_THROWS_WITH_AS(
      length_of({255, 255, 255, 255, 255, 255, 255, 255}, 1'000),
      "file: a header of 18446744073709551615 bytes, expected at most 100000000: not a safetensors file", FileError);
}

TEST_CASE("a hostile header is refused, and the error names the file and the problem") {
  const std::string f32 = R"("dtype":"F32",)";
  const std::string scalar = R"("shape":[],)";
  const std::string four = R"("data_offsets":[0,4])";
  const std::vector<Case> cases = {
      // Not a JSON object.
      {"", 0, "does not begin with '{'"},
      {"[]", 0, "does not begin with '{'"},
      {" {}", 0, "does not begin with '{'"},
      {"\xef\xbb\xbf{}", 0, "does not begin with '{'"},
      {"{", 0, "not JSON, at byte 2"},
      {"{}}", 0, "not JSON, at byte 3"},
      {"{},", 0, "not JSON, at byte 3"},
      {"{} // comment", 0, "not JSON, at byte 4"},
      {"{\"a\" 1}", 0, "not JSON, at byte 6"},
      {std::string("{}\0{}", 5), 0, "zero byte"},
      {"{\"\xff\":{}}", 0, "ill-formed UTF-8"},
      {"{\"\\ud800\":{}}", 0, "surrogate"},
      // Not the objects of the format: so nesting ends where the format's ends.
      {"{\"a\":null}", 0, "\"a\" is null, expected an object"},
      {"{\"a\":[[[[]]]]}", 0, "\"a\" is a list, expected an object"},
      {"{\"a\":{\"shape\":{}}}", 0, "\"shape\" is an object, expected a list of whole numbers"},
      {"{\"a\":{\"shape\":[[]]}}", 0, "\"shape\" holds a list, expected whole numbers"},
      {"{\"a\":{\"shape\":[{}]}}", 0, "\"shape\" holds an object, expected whole numbers"},
      {"{\"a\":" + repeated("[", 100'000), 0, "\"a\" is a list"},
      {repeated("{\"a\":", 100'000), 0, "unknown field \"a\""},
      {"{\"a\":{\"dtype\":3}}", 0, "\"dtype\" is 3, expected a string"},
      {"{\"a\":{\"dtype\":[]}}", 0, "\"dtype\" is a list, expected a string"},
      {"{\"a\":{\"shape\":\"[]\"}}", 0, "\"shape\" is \"[]\", expected a list"},
      {one_tensor(f32 + scalar + four + ",\"stride\":[1]"), 4, "unknown field \"stride\""},
      // Names that appear twice.
      {"{\"a\":{" + f32 + scalar + four + "},\"a\":{" + f32 + scalar + four + "}}", 4, "the name \"a\" appears twice"},
      {one_tensor(f32 + f32 + scalar + four), 4, "the field \"dtype\" appears twice"},
      {one_tensor(f32 + scalar + scalar + four), 4, "the field \"shape\" appears twice"},
      {one_tensor(f32 + scalar + four + "," + four), 4, "the field \"data_offsets\" appears twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "the name \"__metadata__\" appears twice"},
      {R"({"__metadata__":{},"__metadata\u005f_":{}})", 0, "the name \"__metadata__\" appears twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", 0, "the metadata key \"k\" appears twice"},
      // Metadata that is no string.
      {R"({"__metadata__":{"step":400}})", 0, "the metadata \"step\" is 400, expected a string"},
      {R"({"__metadata__":{"step":-4}})", 0, "the metadata \"step\" is -4, expected a string"},
      {R"({"__metadata__":{"step":true}})", 0, "the metadata \"step\" is true, expected a string"},
      {R"({"__metadata__":{"step":{}}})", 0, "the metadata \"step\" is an object, expected a string"},
      {R"({"__metadata__":{"step":[]}})", 0, "the metadata \"step\" is a list, expected a string"},
      {R"({"__metadata__":"step"})", 0, "\"__metadata__\" is \"step\", expected an object"},
      // Fields that are missing, unknown or no whole numbers.
      {one_tensor(scalar + four), 4, "has no dtype"},
      {one_tensor(f32 + four), 4, "has no shape"},
      {one_tensor(R"("dtype":"F32","shape":[])"), 4, "has no data_offsets"},
      {one_tensor(R"("dtype":"F31",)" + scalar + four), 4, "tensor \"a\": unknown dtype \"F31\""},
      {one_tensor(R"("dtype":"f32",)" + scalar + four), 4, "unknown dtype \"f32\""},
      {one_tensor(R"("dtype":"",)" + scalar + four), 4, "unknown dtype \"\""},
      {one_tensor(f32 + "\"shape\":[-1]," + four), 4, "\"shape\" holds -1, expected whole numbers"},
      {one_tensor(f32 + "\"shape\":[1.0]," + four), 4, "\"shape\" holds 1.0, expected whole numbers"},
      {one_tensor(f32 + "\"shape\":[1e0]," + four), 4, "\"shape\" holds 1e0, expected whole numbers"},
      {one_tensor(f32 + "\"shape\":[1e999]," + four), 4, "not JSON"},
      {one_tensor(f32 + "\"shape\":[null]," + four), 4, "\"shape\" holds null, expected whole numbers"},
      {one_tensor(f32 + "\"shape\":[9223372036854775808]," + four), 4, "9223372036854775808, which is too large"},
      {one_tensor(f32 + "\"shape\":[18446744073709551616]," + four), 4, "18446744073709551616, expected whole numbers"},
      {one_tensor(f32 + "\"shape\":[1" + repeated(",1", 64) + "]," + four), 4, "more than 64 numbers"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[4]"), 4, "data_offsets [4], expected [begin,end]"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[0,4,8]"), 4, "data_offsets [0,4,8], expected [begin,end]"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[-4,0]"), 4, "\"data_offsets\" holds -4, expected whole numbers"},
      // Shapes whose bytes are not those of the offsets.
      {one_tensor(f32 + "\"shape\":[2]," + four), 4, "[0,4], expected 8 bytes for F32 [2]"},
      {one_tensor(f32 + "\"shape\":[0]," + four), 4, "[0,4], expected 0 bytes for F32 [0]"},
      {one_tensor(R"("dtype":"F64",)" + scalar + four), 4, "[0,4], expected 8 bytes for F64 []"},
      {one_tensor(f32 + "\"shape\":[4294967296,4294967296]," + four), 4, "more bytes than can be counted"},
      {one_tensor(f32 + "\"shape\":[4611686018427387905]," + four), 4, "more bytes than can be counted"},
      // Offsets that do not cover the data exactly once.
      {one_tensor(f32 + scalar + "\"data_offsets\":[4,0]"), 4, "[4,0] end before they begin"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[0,4]"), 3, "[0,4] reach beyond the 3 bytes of data"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[9223372036854775803,9223372036854775807]"), 4,
       "reach beyond the 4"},
      {one_tensor(f32 + scalar + "\"data_offsets\":[4,8]"), 8, "[4,8] leave a hole: nothing describes the data from 0"},
      {one_tensor(f32 + scalar + four), 5, "the tensors end at 4, but there are 5 bytes of data"},
      {"{}", 1, "the tensors end at 0, but there are 1 bytes of data"},
      {two_tensors(R"("shape":[3],"data_offsets":[0,3])", R"("shape":[3],"data_offsets":[2,5])"), 5,
       "tensor \"b\": data_offsets [2,5] overlap tensor \"a\", which ends at 3"},
      {two_tensors(R"("shape":[3],"data_offsets":[0,3])", R"("shape":[3],"data_offsets":[0,3])"), 3,
       "tensor \"b\": data_offsets [0,3] overlap tensor \"a\""},
      {two_tensors(R"("shape":[4],"data_offsets":[0,4])", R"("shape":[0],"data_offsets":[2,2])"), 4,
       "tensor \"b\": data_offsets [2,2] overlap tensor \"a\", which ends at 4"},
      {two_tensors(R"("shape":[3],"data_offsets":[0,3])", R"("shape":[3],"data_offsets":[4,7])"), 7,
       "tensor \"b\": data_offsets [4,7] leave a hole: nothing describes the data from 3"},
  };
  for (const Case& hostile : cases) {
    const std::string message = verdict(hostile.header, hostile.data_bytes);
    INFO(hostile.header.substr(0, 200));
    CHECK_MESSAGE(message.find(hostile.expected) != std::string::npos, message);
    CHECK_MESSAGE((message == "accepted" || message.starts_with("weights.safetensors: ")), message);
  }
}

TEST_CASE("a hostile name can neither fill the screen nor control the terminal") {
  const std::string message = verdict("{\"\\u001b[2J" + std::string(1'000'000, 'x') + "\":1}", 0);
  CHECK(message.size() < 300);
  CHECK(message.find('\x1b') == std::string::npos);
  CHECK(message.find("\\u001b[2Jxxx") != std::string::npos);
  const std::string not_json = verdict("{\"" + std::string(1'000'000, 'x'), 0);
  CHECK(not_json.size() < 300);
}
