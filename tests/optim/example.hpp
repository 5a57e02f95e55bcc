#pragma once
/// \file
/// A small layout and buffers for the tests of optimisers.

#include "incontext/core/key.hpp"
#include "incontext/core/parameters.hpp"

#include <memory>
#include <string>
#include <vector>

namespace incontext_tests {

/// Three tensors, of sizes that are no multiple of a vector.
inline std::shared_ptr<const incontext::ParameterLayout> example_layout() {
  auto layout = std::make_shared<incontext::ParameterLayout>();
  layout->declare("h.0.c_attn.weight", {3, 7});
  layout->declare("h.0.c_attn.bias", {7});
  layout->declare("read_out.weight", {1, 3});
  return layout;
}

/// Normals in every tensor, zeros between them.
template <class Scalar>
incontext::ParameterBuffer<Scalar> example_buffer(incontext::Key key, double scale = 1.0) {
  incontext::ParameterBuffer<Scalar> buffer(example_layout());
  incontext::Stream stream(key);
  for (const incontext::ParameterEntry& entry : buffer.layout().entries()) {
    stream.fill_normal(buffer.data() + entry.offset, buffer.data() + entry.offset + entry.size, scale);
  }
  return buffer;
}

/// What one update makes of `updates`, at the given parameters, from the state of the start.
template <class Transform, class Scalar>
incontext::ParameterBuffer<Scalar> updated(const Transform& transform, incontext::ParameterBuffer<Scalar> updates,
                                           const incontext::ParameterBuffer<Scalar>& parameters,
                                           incontext::Index step = 0) {
  auto state = transform.template init<Scalar>(updates.shared_layout());
  transform.update(updates, parameters, step, state);
  return updates;
}

/// The names of the buffers that `visit` shows, in order.
template <class Transform>
std::vector<std::string> visited(const Transform& transform) {
  auto state = transform.template init<float>(example_layout());
  std::vector<std::string> names;
  transform.visit(state, [&](std::string_view name, incontext::ParameterBuffer<float>&) { names.emplace_back(name); });
  return names;
}

}  // namespace incontext_tests
