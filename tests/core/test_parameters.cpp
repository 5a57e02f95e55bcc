#include "incontext/core/parameters.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

using incontext::ConfigurationError;
using incontext::Index;
using incontext::interpolate;
using incontext::matches;
using incontext::MatrixView;
using incontext::ParameterBuffer;
using incontext::ParameterEntry;
using incontext::ParameterId;
using incontext::ParameterLayout;
using incontext::ShapeError;

namespace {

// Sizes below, at and above the granule, a scalar and a tensor of three dimensions.
std::shared_ptr<const ParameterLayout> example_layout() {
  auto layout = std::make_shared<ParameterLayout>();
  layout->declare("wte.weight", {7, 3});
  layout->declare("h.0.attn.weight", {4, 4});
  layout->declare("h.0.attn.bias", {5});
  layout->declare("h.1.attn.weight", {4, 4});
  layout->declare("h.1.attn.bias", {5});
  layout->declare("scale", {});
  layout->declare("cube", {2, 3, 4});
  return layout;
}

// Distinct values that no two buffers share, padding left at zero.
template <class Scalar>
ParameterBuffer<Scalar> example_buffer(double seed) {
  ParameterBuffer<Scalar> buffer(example_layout());
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    for (Index index = 0; index < entry.size; ++index) {
      buffer.data()[entry.offset + index] = static_cast<Scalar>(seed + 0.1 * static_cast<double>(entry.offset + index));
    }
  }
  return buffer;
}

template <class Scalar>
bool padding_is_zero(const ParameterBuffer<Scalar>& buffer) {
  Index next = 0;
  const auto zeros = [&](Index first, Index last) {
    return std::all_of(buffer.data() + first, buffer.data() + last, [](Scalar value) { return value == Scalar{}; });
  };
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    if (!zeros(next, entry.offset)) {
      return false;
    }
    next = entry.offset + entry.size;
  }
  return zeros(next, buffer.size());
}

std::vector<std::string> names(const std::vector<ParameterEntry>& entries) {
  std::vector<std::string> result;
  for (const ParameterEntry& entry : entries) {
    result.push_back(entry.name);
  }
  return result;
}

}  // namespace

TEST_CASE("tensors are laid out in order, on granules, without overlap") {
  const auto layout = example_layout();
  Index end = 0;
  Index count = 0;
  for (const ParameterEntry& entry : layout->entries()) {
    CAPTURE(entry.name);
    CHECK(entry.offset % ParameterLayout::granule == 0);
    CHECK(entry.offset >= end);
    CHECK(entry.offset < end + ParameterLayout::granule);  // no more padding than it takes
    end = entry.offset + entry.size;
    count += entry.size;
  }
  CHECK(layout->size() >= end);
  CHECK(layout->size() % ParameterLayout::granule == 0);
  CHECK(layout->parameter_count() == count);
  CHECK(count == 21 + 16 + 5 + 16 + 5 + 1 + 24);
  CHECK(ParameterLayout().size() == 0);
  CHECK(ParameterLayout().parameter_count() == 0);
}

TEST_CASE("declaring returns the handle of the tensor") {
  ParameterLayout layout;
  const ParameterId first = layout.declare("first", {3, 7});
  const ParameterId second = layout.declare("second", {2});
  CHECK(first.offset == layout.at("first").offset);
  CHECK(first.size == 21);
  CHECK(second.offset == layout.at("second").offset);
  CHECK(second.size == 2);
  CHECK(second.offset == 32);
}

TEST_CASE_TEMPLATE("every tensor starts on a cache line and padding is zero", Scalar, float, double) {
  ParameterBuffer<Scalar> buffer(example_layout());
  CHECK(std::all_of(buffer.data(), buffer.data() + buffer.size(), [](Scalar value) { return value == Scalar{}; }));
  CHECK(buffer.size() == buffer.layout().size());
  for (const ParameterEntry& entry : buffer.layout().entries()) {
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data() + entry.offset) % incontext::cache_line_bytes == 0);
  }
  const auto left = example_buffer<Scalar>(1.0);
  const auto right = example_buffer<Scalar>(-2.5);
  CHECK(padding_is_zero(left));
  CHECK(padding_is_zero(left + right));
  CHECK(padding_is_zero(left - right));
  CHECK(padding_is_zero(Scalar(-3) * left));
  CHECK(padding_is_zero(interpolate(left, right, 0.3)));
  CHECK(padding_is_zero(left.template cast<double>()));
}

TEST_CASE("a layout refuses names twice and empty dimensions, by name") {
  ParameterLayout layout;
  layout.declare("weight", {2, 2});
  CHECK_THROWS_WITH_AS(layout.declare("weight", {3}), "parameter 'weight' is declared twice", ConfigurationError);
  CHECK_THROWS_WITH_AS(layout.declare("empty", {4, 0}), "parameter 'empty' has a dimension of 0, expected at least 1",
                       ConfigurationError);
  CHECK_THROWS_WITH_AS(layout.declare("negative", {-2}),
                       "parameter 'negative' has a dimension of -2, expected at least 1", ConfigurationError);
  // A refused declaration leaves the layout as it was.
  CHECK(layout.entries().size() == 1);
  CHECK(layout.size() == 16);
}

TEST_CASE("tensors are found by name") {
  const auto layout = example_layout();
  CHECK(layout->find("cube") == &layout->entries().back());
  CHECK(layout->find("cub") == nullptr);
  CHECK(layout->find("h.0.*") == nullptr);  // a pattern is not a name
  CHECK(layout->at("cube").shape == std::vector<Index>{2, 3, 4});
  CHECK_THROWS_WITH_AS(static_cast<void>(layout->at("missing")),
                       "no parameter is named 'missing'; the layout has 7 parameters, the first is 'wte.weight'",
                       ConfigurationError);
  CHECK_THROWS_AS(static_cast<void>(ParameterLayout().at("missing")), ConfigurationError);
}

TEST_CASE("a star stands for any run of characters") {
  CHECK(matches("h.0.bias", "h.0.bias"));
  CHECK_FALSE(matches("h.0.bias", "h.0.bia"));
  CHECK_FALSE(matches("h.0.bia", "h.0.bias"));
  CHECK(matches("h.0.bias", "*"));
  CHECK(matches("", "*"));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("a", ""));
  CHECK(matches("h.0.bias", "h.*"));
  CHECK(matches("h.0.bias", "*.bias"));
  CHECK(matches("h.0.bias", "h.*.bias"));
  CHECK(matches("h.0.bias", "h.0.bias*"));
  CHECK(matches("h.0.attn.bias", "h.*.*.bias"));
  CHECK_FALSE(matches("h.0.bias", "h.*.*.bias"));
  CHECK(matches("h.0.attn.attn", "*attn"));  // the last of several possible ends
  CHECK_FALSE(matches("h.10.bias", "h.1.*"));
  CHECK_FALSE(matches("xh.0", "h.*"));
  CHECK(matches("aab", "a*ab"));
  CHECK_FALSE(matches("ab", "ab*b"));  // the runs of a pattern do not overlap
}

TEST_CASE("patterns choose entries once, in the order of the layout, and never silently nothing") {
  const auto layout = example_layout();
  CHECK(names(layout->matching({"h.*.bias"})) == std::vector<std::string>{"h.0.attn.bias", "h.1.attn.bias"});
  CHECK(names(layout->matching({"scale", "*.weight", "h.1.*"})) ==
        std::vector<std::string>{"wte.weight", "h.0.attn.weight", "h.1.attn.weight", "h.1.attn.bias", "scale"});
  CHECK(layout->matching({"*"}) == layout->entries());
  CHECK(layout->matching({}).empty());
  CHECK_THROWS_WITH_AS(static_cast<void>(layout->matching({"*.weight", "h.2.*"})),
                       "the pattern 'h.2.*' matches no parameter; names look like 'wte.weight'", ConfigurationError);
}

TEST_CASE("views name the memory of the buffer") {
  ParameterBuffer<float> buffer(example_layout());
  const MatrixView<float> weight = buffer.view("h.1.attn.weight");
  CHECK(weight.rows == 4);
  CHECK(weight.columns == 4);
  CHECK(weight.data == buffer.data() + buffer.layout().at("h.1.attn.weight").offset);
  weight(2, 3) = 5.0F;
  CHECK(buffer.data()[buffer.layout().at("h.1.attn.weight").offset + 11] == 5.0F);

  CHECK(buffer.view("h.0.attn.bias").rows == 1);
  CHECK(buffer.view("h.0.attn.bias").columns == 5);
  CHECK(buffer.view("scale").rows == 1);
  CHECK(buffer.view("scale").columns == 1);
  CHECK(buffer.view("cube").rows == 2);
  CHECK(buffer.view("cube").columns == 12);

  const ParameterBuffer<float>& constant = buffer;
  static_assert(std::is_same_v<decltype(constant.view("scale")), MatrixView<const float>>);
  CHECK(constant.view("h.1.attn.weight")(2, 3) == 5.0F);
  CHECK_THROWS_AS(static_cast<void>(constant.view("missing")), ConfigurationError);
}

TEST_CASE("copies are deep and share the layout") {
  const auto original = example_buffer<double>(1.0);
  ParameterBuffer<double> copy = original;
  CHECK(copy == original);
  CHECK(copy.shared_layout() == original.shared_layout());
  copy.data()[0] += 1.0;
  CHECK_FALSE(copy == original);
  copy.set_zero();
  CHECK(copy == ParameterBuffer<double>(example_layout()));  // equal layouts need not be the same object
  CHECK(ParameterBuffer<double>().size() == 0);
  CHECK(ParameterBuffer<double>() == ParameterBuffer<double>());
  CHECK_FALSE(ParameterBuffer<double>() == copy);
}

TEST_CASE("arithmetic is that of its elements") {
  const auto left = example_buffer<double>(1.0);
  const auto right = example_buffer<double>(-2.5);
  const auto sum = left + right;
  const auto difference = left - right;
  const auto scaled = -0.5 * left;
  bool equal = true;
  for (Index index = 0; index < left.size(); ++index) {
    const double a = left.data()[index];
    const double b = right.data()[index];
    equal =
        equal && sum.data()[index] == a + b && difference.data()[index] == a - b && scaled.data()[index] == -0.5 * a;
  }
  CHECK(equal);

  ParameterBuffer<double> accumulated = left;
  accumulated += right;
  CHECK(accumulated == sum);
  accumulated = left;
  accumulated -= right;
  CHECK(accumulated == difference);
  accumulated = left;
  accumulated *= -0.5;
  CHECK(accumulated == scaled);
  // A task vector taken from a model and given back.
  CHECK(0.0 * left + right == right);
  CHECK(left - left == ParameterBuffer<double>(example_layout()));
}

TEST_CASE("buffers of different layouts do not mix") {
  ParameterLayout other;
  other.declare("something else", {9});
  const ParameterBuffer<double> stranger(std::make_shared<const ParameterLayout>(other));
  ParameterBuffer<double> buffer = example_buffer<double>(1.0);
  CHECK_THROWS_AS(buffer += stranger, ShapeError);
  CHECK_THROWS_AS(buffer -= stranger, ShapeError);
  CHECK_THROWS_AS(static_cast<void>(interpolate(buffer, stranger, 0.5)), ShapeError);
  CHECK(buffer == example_buffer<double>(1.0));

  // The same sizes under another name are another layout.
  ParameterLayout renamed;
  renamed.declare("a", {16});
  ParameterLayout original;
  original.declare("b", {16});
  ParameterBuffer<float> first(std::make_shared<const ParameterLayout>(renamed));
  CHECK_THROWS_AS(first += ParameterBuffer<float>(std::make_shared<const ParameterLayout>(original)), ShapeError);
}

TEST_CASE_TEMPLATE("interpolation is exact at both ends and affine between", Scalar, float, double) {
  const auto from = example_buffer<Scalar>(1.0);
  const auto to = example_buffer<Scalar>(-2.5);
  CHECK(interpolate(from, to, 0.0) == from);
  CHECK(interpolate(from, to, 1.0) == to);
  for (const double weight : {-0.5, 0.25, 0.7, 1.5}) {
    CAPTURE(weight);
    const auto between = interpolate(from, to, weight);
    bool close = true;
    for (Index index = 0; index < from.size(); ++index) {
      const double a = static_cast<double>(from.data()[index]);
      const double b = static_cast<double>(to.data()[index]);
      // Each weight and each product is rounded once, and their sum once: at most five half-units of the terms.
      const double terms = std::abs((1.0 - weight) * a) + std::abs(weight * b);
      const double tolerance = 2.5 * static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * terms;
      close = close &&
              std::abs(static_cast<double>(between.data()[index]) - ((1.0 - weight) * a + weight * b)) <= tolerance;
    }
    CHECK(close);
  }
}

TEST_CASE("casting keeps every value that the other type can hold") {
  const auto single = example_buffer<float>(1.0);
  const ParameterBuffer<double> wide = single.cast<double>();
  CHECK(wide.shared_layout() == single.shared_layout());
  CHECK(wide.cast<float>() == single);
  const auto precise = example_buffer<double>(1.0);
  const ParameterBuffer<float> rounded = precise.cast<float>();
  CHECK(rounded.data()[3] == static_cast<float>(precise.data()[3]));
}
