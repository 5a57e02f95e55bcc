#pragma once
/// \file
/// Named tensors in safetensors files, which PyTorch, JAX and others read. Bits come back as they went, NaN included;
/// equal content gives equal bytes; a save replaces the file as a whole.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/parameters.hpp"
#include "incontext/io/atomic_file.hpp"
#include "incontext/io/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

static_assert(std::endian::native == std::endian::little, "safetensors files hold little-endian numbers, as they are");

/// The elements of one tensor, row-major.
struct Tensor {
  DataType type = DataType::f32;
  std::vector<Index> shape;  ///< no extents: a scalar
  std::vector<std::byte> bytes;

  bool operator==(const Tensor&) const = default;
};

/// The content of one safetensors file.
struct TensorFile {
  std::string origin = "tensors in memory";  ///< what errors call the file; not part of its content
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor, std::less<>> tensors;

  /// Adds a tensor. \throws ConfigurationError if the name is taken, ShapeError if there are not as many values as the
  /// shape asks for
  template <class Element>
  void add(std::string name, std::vector<Index> shape, std::span<const Element> values) {
    constexpr DataType type = data_type_of<Element>();
    require<ShapeError>(detail::byte_count(type, shape) == static_cast<Index>(values.size_bytes()), "tensor ",
                        detail::in_quotes(name), ": ", values.size(), " values for the shape ",
                        detail::json_list(shape));
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    const auto [place, is_new] = tensors.try_emplace(std::move(name));
    require(is_new, "tensor ", detail::in_quotes(place->first), " is added twice");
    place->second = {type, std::move(shape), {first, first + values.size_bytes()}};
  }

  /// The tensor of that name. \throws FileError if there is none
  [[nodiscard]] const Tensor& at(std::string_view name) const {
    const auto found = tensors.find(name);
    require<FileError>(found != tensors.end(), origin, ": no tensor is named ", detail::in_quotes(name), " among its ",
                       tensors.size(), tensors.empty() ? "" : ", the first is ",
                       tensors.empty() ? "" : detail::in_quotes(tensors.begin()->first));
    return found->second;
  }

  /// The tensor of that name, which has to hold `Element`s. \throws FileError if there is none, or it has another type
  template <class Element>
  [[nodiscard]] const Tensor& at(std::string_view name) const {
    const Tensor& tensor = at(name);
    require<FileError>(tensor.type == data_type_of<Element>(), origin, ": tensor ", detail::in_quotes(name), " is ",
                       name_of(tensor.type), ", expected ", name_of(data_type_of<Element>()));
    return tensor;
  }

  /// A copy of the elements of a tensor. \throws FileError if there is none of that name, or it has another type
  template <class Element>
  [[nodiscard]] std::vector<Element> values(std::string_view name) const {
    const Tensor& tensor = at<Element>(name);
    std::vector<Element> copy(tensor.bytes.size() / sizeof(Element));
    if (!copy.empty()) {
      std::memcpy(copy.data(), tensor.bytes.data(), tensor.bytes.size());
    }
    return copy;
  }

  /// The metadata of that key. \throws FileError if there is none
  [[nodiscard]] const std::string& metadata_at(const std::string& key) const {
    const auto found = metadata.find(key);
    require<FileError>(found != metadata.end(), origin, ": no metadata is named ", detail::in_quotes(key));
    return found->second;
  }

  bool operator==(const TensorFile& other) const { return metadata == other.metadata && tensors == other.tensors; }
};

namespace detail {

/// The header that `file` is written with. Wide elements go first, so that every tensor is aligned to its own
/// elements; tensors of one width are sorted by name.
/// \throws FileError if the file could not be read back: a name that is not UTF-8, bytes that do not fit the shape
[[nodiscard]] inline SafetensorsHeader describe(const TensorFile& file, std::string_view origin) {
  SafetensorsHeader header;
  header.metadata = file.metadata;
  Index end = 0;
  for (const Index width : {8, 4, 2, 1}) {
    for (const auto& [name, tensor] : file.tensors) {
      if (bytes_of(tensor.type) == width) {
        const Index begin = std::exchange(end, end + static_cast<Index>(tensor.bytes.size()));
        header.tensors.emplace(name, TensorEntry{tensor.type, tensor.shape, begin, end});
      }
    }
  }

  const std::string json = format_safetensors_header(header).substr(safetensors_length_bytes);
  require<FileError>(json.size() <= longest_safetensors_header, origin, ": a header of ", json.size(),
                     " bytes, expected at most ", longest_safetensors_header);
  require<FileError>(parse_safetensors_header(json, static_cast<std::uint64_t>(end), origin) == header, origin,
                     ": the header would not read back as it is written");
  return header;
}

/// Writes header and data to anything with `write(std::string_view)`.
template <class Sink>
void write_tensors(const TensorFile& file, const SafetensorsHeader& header, Sink& sink) {
  sink.write(format_safetensors_header(header));
  for (const SafetensorsHeader::NamedEntry* entry : header.in_data_order()) {
    const std::vector<std::byte>& bytes = file.tensors.find(entry->first)->second.bytes;
    sink.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
}

/// Reads header and data of `file_bytes` in all through `read(destination, count)`, which fills all or raises.
template <class Read>
[[nodiscard]] TensorFile read_tensors(std::uint64_t file_bytes, std::string origin, Read&& read) {
  require<FileError>(file_bytes >= safetensors_length_bytes, origin, ": ", file_bytes, " bytes, expected at least the ",
                     safetensors_length_bytes, " of the header's length");
  std::array<unsigned char, safetensors_length_bytes> start{};
  read(reinterpret_cast<char*>(start.data()), start.size());
  std::string json(static_cast<std::size_t>(parse_safetensors_length(start, file_bytes, origin)), '\0');
  read(json.data(), json.size());
  SafetensorsHeader header = parse_safetensors_header(json, file_bytes - start.size() - json.size(), origin);

  TensorFile file;
  for (const SafetensorsHeader::NamedEntry* entry : header.in_data_order()) {
    Tensor& tensor = file.tensors[entry->first];
    tensor.type = entry->second.type;
    tensor.shape = entry->second.shape;
    tensor.bytes.resize(static_cast<std::size_t>(entry->second.end - entry->second.begin));
    read(reinterpret_cast<char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  file.metadata = std::move(header.metadata);
  file.origin = std::move(origin);
  return file;
}

}  // namespace detail

/// The bytes of the safetensors file. \throws FileError as `save_tensors`
[[nodiscard]] inline std::string format_tensors(const TensorFile& file) {
  struct {
    std::string bytes;
    void write(std::string_view part) { bytes += part; }
  } sink;
  detail::write_tensors(file, detail::describe(file, file.origin), sink);
  return std::move(sink.bytes);
}

/// Reads the bytes of a safetensors file. `origin` names the file in errors. \throws FileError as `load_tensors`
[[nodiscard]] inline TensorFile parse_tensors(std::string_view bytes, std::string origin) {
  return detail::read_tensors(bytes.size(), std::move(origin),
                              [rest = bytes](char* destination, std::size_t count) mutable {
                                rest.copy(destination, count);
                                rest.remove_prefix(count);
                              });
}

/// Saves to a safetensors file, which is replaced as a whole (see `write_atomically`).
/// \throws FileError if a name or metadata is not UTF-8, the bytes of a tensor do not fit its shape, or the file cannot
/// be written
inline void save_tensors(const std::filesystem::path& path, const TensorFile& file) {
  const SafetensorsHeader header = detail::describe(file, path.string());
  write_atomically(path, [&](PartFile& part) { detail::write_tensors(file, header, part); });
}

/// Loads a safetensors file. A file that is corrupt or hostile costs no more memory than its own size.
/// \throws FileError naming the file, the tensor, the value and what was expected
[[nodiscard]] inline TensorFile load_tensors(const std::filesystem::path& path) {
  const std::string origin = path.string();
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  require<FileError>(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), origin,
                     ": not a regular file");
  errno = 0;
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  require<FileError>(stream.is_open(), origin, ": could not open the file: ", std::generic_category().message(errno));
  const std::streamoff size = stream.tellg();
  stream.seekg(0);
  require<FileError>(size >= 0 && stream.good(), origin, ": could not find out the size of the file");
  return detail::read_tensors(static_cast<std::uint64_t>(size), origin, [&](char* destination, std::size_t count) {
    errno = 0;
    stream.read(destination, static_cast<std::streamsize>(count));
    require<FileError>(stream.good(), origin, ": could not read ", count,
                       " bytes: ", errno == 0 ? "the file became shorter" : std::generic_category().message(errno));
  });
}

/// Adds every tensor of `buffer` under `prefix` + its name. \throws ConfigurationError if a name is taken
template <class Scalar>
void store(TensorFile& file, std::string_view prefix, const ParameterBuffer<Scalar>& buffer) {
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    const std::span<const Scalar> values(buffer.data() + entry.offset, static_cast<std::size_t>(entry.size));
    file.add(std::string(prefix) + entry.name, entry.shape, values);
  }
}

/// Fills `buffer` with the tensors that `store` adds under `prefix`, all of them or none. The file may hold other
/// tensors as well.
/// \throws FileError if a tensor of the layout is missing, or has another type or shape
template <class Scalar>
void load(const TensorFile& file, std::string_view prefix, ParameterBuffer<Scalar>& buffer) {
  std::vector<const Tensor*> found;
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    const std::string name = std::string(prefix) + entry.name;
    const Tensor& tensor = file.at<Scalar>(name);
    require<FileError>(tensor.shape == entry.shape, file.origin, ": tensor ", detail::in_quotes(name),
                       " has the shape ", detail::json_list(tensor.shape), ", expected ",
                       detail::json_list(entry.shape));
    found.push_back(&tensor);
  }
  for (std::size_t index = 0; index < found.size(); ++index) {
    const ParameterEntry& entry = buffer.layout().entries()[index];
    std::memcpy(buffer.data() + entry.offset, found[index]->bytes.data(), found[index]->bytes.size());
  }
}

INCONTEXT_NAMESPACE_END
