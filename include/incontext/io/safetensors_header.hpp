#pragma once
/// \file
/// The header of a safetensors file: names, types, shapes and places of tensors, as JSON.
///
/// Format: https://github.com/huggingface/safetensors#format. The reader treats the header as hostile: what it accepts
/// describes every byte of the data exactly once, and nothing that it was told is used before it was checked.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"

#include <nlohmann/detail/input/parser.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// What the parser of nlohmann-json has to know of a type of JSON values. We have no such type: it hands over pieces.
/// The parser without `nlohmann::json` compiles in a fraction of the time.
struct JsonPieces {
  using boolean_t = bool;
  using number_integer_t = std::int64_t;
  using number_unsigned_t = std::uint64_t;
  using number_float_t = double;
  using string_t = std::string;
  using binary_t = std::vector<std::uint8_t>;
  using exception = nlohmann::detail::exception;
};

}  // namespace detail

INCONTEXT_NAMESPACE_END

/// \cond
/// The parser asks whether its values are nlohmann's.
template <>
struct nlohmann::detail::is_basic_json<incontext::detail::JsonPieces> : std::true_type {};
/// \endcond

INCONTEXT_NAMESPACE_BEGIN

/// The element types of the format.
enum class DataType { boolean, u8, i8, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

/// How the format writes each type, and the bytes of one element; in the order of `DataType`.
inline constexpr std::array<std::pair<std::string_view, Index>, 13> data_types = {{{"BOOL", 1},
                                                                                   {"U8", 1},
                                                                                   {"I8", 1},
                                                                                   {"U16", 2},
                                                                                   {"I16", 2},
                                                                                   {"F16", 2},
                                                                                   {"BF16", 2},
                                                                                   {"U32", 4},
                                                                                   {"I32", 4},
                                                                                   {"F32", 4},
                                                                                   {"U64", 8},
                                                                                   {"I64", 8},
                                                                                   {"F64", 8}}};

/// The type's name in a file: "F32".
[[nodiscard]] constexpr std::string_view name_of(DataType type) {
  return data_types[static_cast<std::size_t>(type)].first;
}
/// The bytes of one element.
[[nodiscard]] constexpr Index bytes_of(DataType type) { return data_types[static_cast<std::size_t>(type)].second; }

/// The type that stores an `Element`.
template <class Element>
[[nodiscard]] constexpr DataType data_type_of() {
  static_assert(std::is_integral_v<Element> || std::is_same_v<Element, float> || std::is_same_v<Element, double>,
                "safetensors files hold integers, float and double");
  if constexpr (std::is_same_v<Element, bool>) {
    return DataType::boolean;
  } else if constexpr (std::is_floating_point_v<Element>) {
    return sizeof(Element) == 4 ? DataType::f32 : DataType::f64;
  } else if constexpr (std::is_signed_v<Element>) {
    return sizeof(Element) == 1   ? DataType::i8
           : sizeof(Element) == 2 ? DataType::i16
           : sizeof(Element) == 4 ? DataType::i32
                                  : DataType::i64;
  } else {
    return sizeof(Element) == 1   ? DataType::u8
           : sizeof(Element) == 2 ? DataType::u16
           : sizeof(Element) == 4 ? DataType::u32
                                  : DataType::u64;
  }
}

/// Where a tensor lies in the data that follows the header.
struct TensorEntry {
  DataType type = DataType::f32;
  std::vector<Index> shape;  ///< no extents: a scalar
  Index begin = 0;           ///< in bytes from the start of the data
  Index end = 0;             ///< one past the last byte

  bool operator==(const TensorEntry&) const = default;
};

/// What a header says.
struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorEntry, std::less<>> tensors;

  bool operator==(const SafetensorsHeader&) const = default;

  using NamedEntry = std::pair<const std::string, TensorEntry>;
  /// The tensors in the order of their data.
  [[nodiscard]] std::vector<const NamedEntry*> in_data_order() const {
    std::vector<const NamedEntry*> order;
    order.reserve(tensors.size());
    for (const NamedEntry& tensor : tensors) {
      order.push_back(&tensor);
    }
    std::sort(order.begin(), order.end(), [](const NamedEntry* left, const NamedEntry* right) {
      return std::tie(left->second.begin, left->second.end, left->first) <
             std::tie(right->second.begin, right->second.end, right->first);
    });
    return order;
  }
};

/// The longest header that is read, in bytes: the limit of the reference implementation.
inline constexpr std::uint64_t longest_safetensors_header = 100'000'000;

namespace detail {

/// `value` as a JSON string. Bytes above 0x7F stay as they are.
[[nodiscard]] inline std::string json_string(std::string_view value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "\"";
  for (const char letter : value) {
    if (letter == '"' || letter == '\\') {
      result += {'\\', letter};
    } else if (const auto code = static_cast<unsigned char>(letter); code < 0x20U) {
      result += "\\u00";
      result += {digits[code >> 4U], digits[code & 15U]};
    } else {
      result += letter;
    }
  }
  return result + '"';
}

/// A name for an error message: a hostile one can neither fill the screen nor control the terminal.
[[nodiscard]] inline std::string in_quotes(std::string_view name) {
  constexpr std::size_t longest = 100;
  return json_string(name.substr(0, longest)) + (name.size() > longest ? "..." : "");
}

/// A shape or a range as JSON: [2, 3] without the space.
template <class Number>
[[nodiscard]] std::string json_list(const std::vector<Number>& numbers) {
  std::string result = "[";
  for (const Number& number : numbers) {
    result += text(result.size() > 1 ? "," : "", number);
  }
  return result + ']';
}

/// The bytes of a tensor, or nothing if there are more than an `Index` counts.
[[nodiscard]] inline std::optional<Index> byte_count(DataType type, const std::vector<Index>& shape) {
  Index count = bytes_of(type);
  for (const Index extent : shape) {
    if (extent != 0 && count > (std::numeric_limits<Index>::max)() / extent) {
      return std::nullopt;
    }
    count *= extent;
  }
  return count;
}

/// Receives the header from the JSON parser, piece by piece, and stops it at the first piece that does not belong: so
/// nesting is never deeper than the format's three levels, whatever the file says. Its public functions are those that
/// the parser calls.
class HeaderReader {
 public:
  SafetensorsHeader header;
  std::string problem;  ///< why reading stopped

  bool null() { return refuse_value("null"); }
  bool boolean(bool value) { return refuse_value(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) { return refuse_value(std::to_string(value)); }
  bool number_float(double, const std::string& digits) { return refuse_value(digits.substr(0, 40)); }
  bool binary(const std::vector<std::uint8_t>&) { return refuse_value("binary"); }

  bool number_unsigned(std::uint64_t value) {
    if (place_ != Place::numbers) {
      return refuse_value(std::to_string(value));
    }
    if (value > static_cast<std::uint64_t>((std::numeric_limits<Index>::max)())) {
      return refuse("tensor ", in_quotes(name_), ": ", in_quotes(field_), " holds ", value, ", which is too large");
    }
    if (numbers_->size() == most_numbers) {
      return refuse("tensor ", in_quotes(name_), ": ", in_quotes(field_), " holds more than ", most_numbers,
                    " numbers");
    }
    numbers_->push_back(static_cast<Index>(value));
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      header.metadata.emplace(field_, std::move(value));
      return true;
    }
    if (place_ != Place::tensor || field_ != "dtype") {
      return refuse_value(in_quotes(value));
    }
    const auto* known =
        std::find_if(data_types.begin(), data_types.end(), [&](const auto& type) { return type.first == value; });
    if (known == data_types.end()) {
      return refuse("tensor ", in_quotes(name_), ": unknown dtype ", in_quotes(value),
                    ", expected BOOL, U8, ..., F32 or F64");
    }
    type_ = static_cast<DataType>(known - data_types.begin());
    return true;
  }

  bool key(std::string& value) {
    if (place_ == Place::top) {
      name_ = std::move(value);
      const bool is_metadata = name_ == metadata_name;
      const bool is_new = is_metadata ? !has_metadata_ : !header.tensors.contains(name_);
      return is_new || refuse("the name ", in_quotes(name_), " appears twice");
    }
    field_ = std::move(value);
    if (place_ == Place::metadata) {
      return !header.metadata.contains(field_) || refuse("the metadata key ", in_quotes(field_), " appears twice");
    }
    const bool is_dtype = field_ == "dtype";
    const bool is_shape = field_ == "shape";
    if (!is_dtype && !is_shape && field_ != "data_offsets") {
      return refuse("tensor ", in_quotes(name_), ": unknown field ", in_quotes(field_),
                    ", expected dtype, shape and data_offsets");
    }
    const bool is_new = is_dtype ? !type_.has_value() : is_shape ? !shape_.has_value() : !offsets_.has_value();
    return is_new || refuse("tensor ", in_quotes(name_), ": the field ", in_quotes(field_), " appears twice");
  }

  bool start_object(std::size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
      return true;
    }
    if (place_ != Place::top) {
      return refuse_value("an object");
    }
    if (name_ == metadata_name) {
      has_metadata_ = true;
      place_ = Place::metadata;
      return true;
    }
    type_.reset();
    shape_.reset();
    offsets_.reset();
    place_ = Place::tensor;
    return true;
  }

  bool end_object() {
    const Place left = place_;
    place_ = left == Place::top ? Place::outside : Place::top;
    return left != Place::tensor || finish_tensor();
  }

  bool start_array(std::size_t) {
    if (place_ != Place::tensor || field_ == "dtype") {
      return refuse_value("a list");
    }
    numbers_ = field_ == "shape" ? &shape_.emplace() : &offsets_.emplace();
    place_ = Place::numbers;
    return true;
  }

  bool end_array() {
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const JsonPieces::exception& error) {
    const std::string_view what = error.what();
    const std::size_t reason = what.find(": ");  // after the library's own error code and position
    return refuse("the header is not JSON, at byte ", position, ": ",
                  what.substr(reason == std::string_view::npos ? 0 : reason + 2).substr(0, 200));
  }

 private:
  enum class Place { outside, top, metadata, tensor, numbers };
  static constexpr std::string_view metadata_name = "__metadata__";
  static constexpr std::size_t most_numbers = 64;

  template <class... Parts>
  bool refuse(const Parts&... parts) {
    problem = text(parts...);
    return false;
  }

  bool refuse_value(std::string_view value) {
    switch (place_) {
      case Place::outside:
        return refuse("the header is ", value, ", expected an object");
      case Place::top:
        return refuse(in_quotes(name_), " is ", value, ", expected an object");
      case Place::metadata:
        return refuse("the metadata ", in_quotes(field_), " is ", value, ", expected a string");
      case Place::tensor:
        return refuse("tensor ", in_quotes(name_), ": ", in_quotes(field_), " is ", value, ", expected ",
                      field_ == "dtype" ? "a string" : "a list of whole numbers");
      case Place::numbers:
        break;
    }
    return refuse("tensor ", in_quotes(name_), ": ", in_quotes(field_), " holds ", value,
                  ", expected whole numbers from 0 to 2^63 - 1");
  }

  bool finish_tensor() {
    if (!type_ || !shape_ || !offsets_) {
      return refuse("tensor ", in_quotes(name_), " has no ", !type_ ? "dtype" : !shape_ ? "shape" : "data_offsets");
    }
    if (offsets_->size() != 2) {
      return refuse("tensor ", in_quotes(name_), ": data_offsets ", json_list(*offsets_), ", expected [begin,end]");
    }
    header.tensors.emplace(name_, TensorEntry{*type_, std::move(*shape_), offsets_->front(), offsets_->back()});
    return true;
  }

  Place place_ = Place::outside;
  bool has_metadata_ = false;
  std::string name_;   // of the tensor that is being read
  std::string field_;  // of that tensor, or of the metadata
  std::optional<DataType> type_;
  std::optional<std::vector<Index>> shape_;
  std::optional<std::vector<Index>> offsets_;
  std::vector<Index>* numbers_ = nullptr;  // shape_ or offsets_
};

/// Checks that every tensor has the bytes of its shape, and that together they cover the data exactly once.
inline void check_coverage(const SafetensorsHeader& header, std::uint64_t data_bytes, std::string_view origin) {
  Index covered = 0;
  std::string_view previous;
  for (const SafetensorsHeader::NamedEntry* tensor : header.in_data_order()) {
    const std::string& name = tensor->first;
    const TensorEntry& entry = tensor->second;
    const auto refuse_unless = [&](bool condition, const auto&... parts) {
      if (!condition) {
        raise<FileError>(
            text(origin, ": tensor ", in_quotes(name), ": data_offsets [", entry.begin, ",", entry.end, "]", parts...));
      }
    };
    refuse_unless(entry.begin <= entry.end, " end before they begin");
    refuse_unless(static_cast<std::uint64_t>(entry.end) <= data_bytes, " reach beyond the ", data_bytes,
                  " bytes of data");
    const std::optional<Index> expected = byte_count(entry.type, entry.shape);
    refuse_unless(expected == entry.end - entry.begin, ", expected ",
                  expected ? std::to_string(*expected) + " bytes" : "more bytes than can be counted", " for ",
                  name_of(entry.type), " ", json_list(entry.shape));
    refuse_unless(entry.begin >= covered, " overlap tensor ", in_quotes(previous), ", which ends at ", covered);
    refuse_unless(entry.begin == covered, " leave a hole: nothing describes the data from ", covered);
    covered = entry.end;
    previous = name;
  }
  require<FileError>(static_cast<std::uint64_t>(covered) == data_bytes, origin, ": the tensors end at ", covered,
                     ", but there are ", data_bytes, " bytes of data: the rest is trailing bytes");
}

}  // namespace detail

/// The bytes in front of a header that hold its length, little-endian.
inline constexpr std::size_t safetensors_length_bytes = 8;

/// Reads the length of the header from the start of a file of `file_bytes`. `origin` names the file in errors.
/// \throws FileError if the file ends before its header does, or the header is longer than is read
[[nodiscard]] inline std::uint64_t parse_safetensors_length(
    const std::array<unsigned char, safetensors_length_bytes>& start, std::uint64_t file_bytes,
    std::string_view origin) {
  std::uint64_t length = 0;
  for (std::size_t byte = 0; byte < safetensors_length_bytes; ++byte) {
    length |= std::uint64_t{start[byte]} << (8U * byte);
  }
  require<FileError>(length <= longest_safetensors_header, origin, ": a header of ", length,
                     " bytes, expected at most ", longest_safetensors_header, ": not a safetensors file");
  require<FileError>(file_bytes >= safetensors_length_bytes && length <= file_bytes - safetensors_length_bytes, origin,
                     ": a header of ", length, " bytes reaches beyond the file of ", file_bytes, " bytes");
  return length;
}

/// Reads a header, without the eight bytes of its length, that is followed by `data_bytes` of data. `origin` names
/// the file in errors.
/// \throws FileError if it is not JSON, holds something that the format does not know, a name twice, a number that is
/// negative, fractional or too large, or does not describe every byte of the data exactly once
[[nodiscard]] inline SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                                                std::string_view origin) {
  require<FileError>(text.starts_with('{'), origin, ": the header does not begin with '{': not a safetensors file");
  require<FileError>(text.find('\0') == std::string_view::npos, origin, ": the header contains a zero byte");
  detail::HeaderReader reader;
  using Input = decltype(nlohmann::detail::input_adapter(text.begin(), text.end()));
  nlohmann::detail::parser<detail::JsonPieces, Input> parser(nlohmann::detail::input_adapter(text.begin(), text.end()));
  const bool complete = parser.sax_parse(&reader);
  require<FileError>(complete, origin, ": ", reader.problem);
  detail::check_coverage(reader.header, data_bytes, origin);
  return std::move(reader.header);
}

/// The header as it stands in a file: the eight bytes of its length, and JSON padded with spaces so that the data
/// starts on a cache line. Equal headers give equal bytes.
[[nodiscard]] inline std::string format_safetensors_header(const SafetensorsHeader& header) {
  std::string json = "{";
  const auto separate = [&json] { json += json.back() == '{' ? "" : ","; };
  if (!header.metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : header.metadata) {
      separate();
      json += detail::json_string(key) + ":" + detail::json_string(value);
    }
    json += "}";
  }
  for (const SafetensorsHeader::NamedEntry* tensor : header.in_data_order()) {
    const auto& [name, entry] = *tensor;
    separate();
    json +=
        text(detail::json_string(name), ":{\"dtype\":\"", name_of(entry.type),
             "\",\"shape\":", detail::json_list(entry.shape), ",\"data_offsets\":[", entry.begin, ",", entry.end, "]}");
  }
  json += "}";

  constexpr std::size_t length_bytes = safetensors_length_bytes;
  constexpr std::size_t alignment = 64;
  json.append((alignment - (length_bytes + json.size()) % alignment) % alignment, ' ');
  std::string bytes;
  bytes.reserve(length_bytes + json.size());
  for (std::size_t byte = 0; byte < length_bytes; ++byte) {
    bytes += static_cast<char>(static_cast<unsigned char>(std::uint64_t{json.size()} >> (8U * byte)));
  }
  return bytes + json;
}

INCONTEXT_NAMESPACE_END
