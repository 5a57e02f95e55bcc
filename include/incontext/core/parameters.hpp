#pragma once
/// \file
/// Parameters: a layout (name, shape, offset) and flat buffers that share it. Parameters, gradients, optimiser moments
/// and task vectors are all buffers of one layout, so freezing, interpolation and saving are one line each.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// One named tensor of a layout.
struct ParameterEntry {
  std::string name;
  std::vector<Index> shape;
  Index offset = 0;  ///< in elements from the start of the buffer, a multiple of `ParameterLayout::granule`
  Index size = 0;    ///< product of the shape

  bool operator==(const ParameterEntry&) const = default;
};

/// The handle that a layer keeps of a tensor that it has declared.
struct ParameterId {
  Index offset = 0;
  Index size = 0;
};

/// Whether `name` matches `pattern`, where `*` stands for any run of characters ("transformer.h.0.*").
[[nodiscard]] inline bool matches(std::string_view name, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) {
    return name == pattern;
  }
  if (name.substr(0, star) != pattern.substr(0, star)) {
    return false;
  }
  for (std::size_t skip = star; skip <= name.size(); ++skip) {
    if (matches(name.substr(skip), pattern.substr(star + 1))) {
      return true;
    }
  }
  return false;
}

/// The names, shapes and offsets of the tensors in a flat buffer. Independent of the scalar type: every tensor starts
/// on a multiple of `granule` elements, and what lies between tensors stays zero.
class ParameterLayout {
 public:
  static constexpr Index granule = 16;

  /// Declares a tensor. \throws ConfigurationError if the name is taken or a dimension is below 1
  ParameterId declare(std::string name, std::vector<Index> shape) {
    Index size = 1;
    for (const Index extent : shape) {
      require(extent >= 1, "parameter '", name, "' has a dimension of ", extent, ", expected at least 1");
      size *= extent;
    }
    require(find(name) == nullptr, "parameter '", name, "' is declared twice");
    const Index offset = size_;
    size_ += (size + granule - 1) / granule * granule;
    entries_.push_back({std::move(name), std::move(shape), offset, size});
    return {offset, size};
  }

  /// The number of elements of a buffer, padding included.
  [[nodiscard]] Index size() const { return size_; }
  /// The number of parameters, padding left out.
  [[nodiscard]] Index parameter_count() const {
    Index count = 0;
    for (const ParameterEntry& entry : entries_) {
      count += entry.size;
    }
    return count;
  }
  [[nodiscard]] const std::vector<ParameterEntry>& entries() const { return entries_; }

  /// The entry of that name, or null.
  [[nodiscard]] const ParameterEntry* find(std::string_view name) const {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const ParameterEntry& entry) { return entry.name == name; });
    return found == entries_.end() ? nullptr : &*found;
  }
  /// The entry of that name. \throws ConfigurationError if there is none
  [[nodiscard]] const ParameterEntry& at(std::string_view name) const {
    const ParameterEntry* entry = find(name);
    require(entry != nullptr, "no parameter is named '", name, "'; the layout has ", entries_.size(),
            " parameters, the first is '", entries_.empty() ? std::string("(none)") : entries_.front().name, "'");
    return *entry;
  }

  /// The entries whose name matches any of the patterns. \throws ConfigurationError if a pattern matches nothing,
  /// since a pattern that silently freezes nothing is a wrong study
  [[nodiscard]] std::vector<ParameterEntry> matching(const std::vector<std::string>& patterns) const {
    std::vector<bool> chosen(entries_.size(), false);
    for (const std::string& pattern : patterns) {
      bool any = false;
      for (std::size_t index = 0; index < entries_.size(); ++index) {
        if (matches(entries_[index].name, pattern)) {
          chosen[index] = any = true;
        }
      }
      require(any, "the pattern '", pattern, "' matches no parameter; names look like '",
              entries_.empty() ? std::string("(none)") : entries_.front().name, "'");
    }
    std::vector<ParameterEntry> found;
    for (std::size_t index = 0; index < entries_.size(); ++index) {
      if (chosen[index]) {
        found.push_back(entries_[index]);
      }
    }
    return found;
  }

  bool operator==(const ParameterLayout&) const = default;

 private:
  std::vector<ParameterEntry> entries_;
  Index size_ = 0;
};

/// A flat, cache-line-aligned buffer with a layout. Copies are deep; the layout is shared.
template <class Scalar>
class ParameterBuffer {
 public:
  using scalar_type = Scalar;

  ParameterBuffer() : layout_(std::make_shared<const ParameterLayout>()) {}
  /// Zeros in the shape of `layout`.
  explicit ParameterBuffer(std::shared_ptr<const ParameterLayout> layout)
      : layout_(std::move(layout)), values_(static_cast<std::size_t>(layout_->size()), Scalar{}) {}

  [[nodiscard]] const ParameterLayout& layout() const { return *layout_; }
  [[nodiscard]] const std::shared_ptr<const ParameterLayout>& shared_layout() const { return layout_; }
  [[nodiscard]] Scalar* data() { return values_.data(); }
  [[nodiscard]] const Scalar* data() const { return values_.data(); }
  [[nodiscard]] Index size() const { return static_cast<Index>(values_.size()); }
  [[nodiscard]] AlignedVector<Scalar>& values() { return values_; }
  [[nodiscard]] const AlignedVector<Scalar>& values() const { return values_; }

  /// A tensor by name, as [first dimension, product of the others]; a vector is one row.
  [[nodiscard]] MatrixView<Scalar> view(std::string_view name) { return view_of(data(), layout_->at(name)); }
  [[nodiscard]] MatrixView<const Scalar> view(std::string_view name) const {
    return view_of(data(), layout_->at(name));
  }

  void set_zero() { std::fill(values_.begin(), values_.end(), Scalar{}); }

  /// The same values in another scalar type.
  template <class Other>
  [[nodiscard]] ParameterBuffer<Other> cast() const {
    ParameterBuffer<Other> result(layout_);
    std::transform(values_.begin(), values_.end(), result.values().begin(),
                   [](const Scalar& value) { return static_cast<Other>(value); });
    return result;
  }

  ParameterBuffer& operator+=(const ParameterBuffer& other) {
    return combine(other, [](Scalar mine, Scalar theirs) { return mine + theirs; });
  }
  ParameterBuffer& operator-=(const ParameterBuffer& other) {
    return combine(other, [](Scalar mine, Scalar theirs) { return mine - theirs; });
  }
  ParameterBuffer& operator*=(Scalar factor) {
    for (Scalar& value : values_) {
      value *= factor;
    }
    return *this;
  }
  [[nodiscard]] friend ParameterBuffer operator+(ParameterBuffer left, const ParameterBuffer& right) {
    left += right;
    return left;
  }
  [[nodiscard]] friend ParameterBuffer operator-(ParameterBuffer left, const ParameterBuffer& right) {
    left -= right;
    return left;
  }
  [[nodiscard]] friend ParameterBuffer operator*(Scalar factor, ParameterBuffer buffer) {
    buffer *= factor;
    return buffer;
  }
  bool operator==(const ParameterBuffer& other) const { return *layout_ == *other.layout_ && values_ == other.values_; }

 private:
  template <class Pointer>
  static auto view_of(Pointer first, const ParameterEntry& entry) {
    const Index rows = entry.shape.size() < 2 ? 1 : entry.shape.front();
    return MatrixView<std::remove_pointer_t<Pointer>>(first + entry.offset, rows, entry.size / rows);
  }
  template <class Combine>
  ParameterBuffer& combine(const ParameterBuffer& other, Combine operation) {
    require<ShapeError>(*layout_ == *other.layout_, "two parameter buffers of different layouts: ", size(),
                        " elements in ", layout_->entries().size(), " tensors against ", other.size(), " in ",
                        other.layout_->entries().size());
    std::transform(values_.begin(), values_.end(), other.values_.begin(), values_.begin(), operation);
    return *this;
  }

  std::shared_ptr<const ParameterLayout> layout_;
  AlignedVector<Scalar> values_;
};

/// (1 - weight) `from` + weight `to`, exactly `from` at 0 and `to` at 1. \throws ShapeError if the layouts differ
template <class Scalar>
[[nodiscard]] ParameterBuffer<Scalar> interpolate(const ParameterBuffer<Scalar>& from,
                                                  const ParameterBuffer<Scalar>& to, double weight) {
  return static_cast<Scalar>(1.0 - weight) * from + static_cast<Scalar>(weight) * to;
}

INCONTEXT_NAMESPACE_END
