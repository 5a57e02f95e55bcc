#include "incontext/optim/weight_decay.hpp"

#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using incontext::ConfigurationError;
using incontext::Index;
using incontext::Key;
using incontext::ParameterEntry;
using incontext::weight_decay;
using incontext_tests::example_buffer;
using incontext_tests::updated;
using incontext_tests::visited;

namespace {

// What of the example decays under these patterns; whatever does must decay as the formula says.
std::vector<std::string> decayed(const std::vector<std::string>& patterns) {
  const auto gradient = example_buffer<double>(Key{1});
  const auto parameters = example_buffer<double>(Key{2});
  const auto update = updated(weight_decay(0.25, patterns), gradient, parameters);
  std::vector<std::string> names;
  for (const ParameterEntry& entry : gradient.layout().entries()) {
    bool moved = false;
    for (Index index = entry.offset; index < entry.offset + entry.size; ++index) {
      moved = moved || update.data()[index] != gradient.data()[index];
    }
    for (Index index = entry.offset; index < entry.offset + entry.size; ++index) {
      const double expected = gradient.data()[index] + (moved ? 0.25 * parameters.data()[index] : 0.0);
      CHECK(std::abs(update.data()[index] - expected) <= std::numeric_limits<double>::epsilon() * std::abs(expected));
    }
    if (moved) {
      names.push_back(entry.name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("weight decay adds decay times the parameters of those that the patterns name") {
  CHECK(decayed({"*"}) == std::vector<std::string>{"h.0.c_attn.weight", "h.0.c_attn.bias", "read_out.weight"});
  CHECK(decayed({"*.weight"}) == std::vector<std::string>{"h.0.c_attn.weight", "read_out.weight"});
  CHECK(decayed({"h.0.*"}) == std::vector<std::string>{"h.0.c_attn.weight", "h.0.c_attn.bias"});
  // Named twice, decayed once.
  CHECK(decayed({"read_out.weight", "read_*"}) == std::vector<std::string>{"read_out.weight"});
}

TEST_CASE("a decay of zero changes nothing, and so do no patterns") {
  const auto gradient = example_buffer<float>(Key{1});
  CHECK(updated(weight_decay(0.0), gradient, example_buffer<float>(Key{2})) == gradient);
  CHECK(updated(weight_decay(0.5, {}), gradient, example_buffer<float>(Key{2})) == gradient);
}

TEST_CASE("a pattern that names nothing is refused when the optimisation starts") {
  CHECK_THROWS_AS((void)weight_decay(0.1, {"h.7.*"}).init<float>(incontext_tests::example_layout()),
                  ConfigurationError);
}

TEST_CASE("weight decay says what it decays, keeps nothing, and refuses a decay that makes no sense") {
  CHECK(weight_decay(0.1).describe() == "weight_decay(0.1, *)");
  CHECK(weight_decay(0.1, {"*.weight", "h.*"}).describe() == "weight_decay(0.1, *.weight, h.*)");
  CHECK(visited(weight_decay(0.1)).empty());
  CHECK_THROWS_WITH_AS((void)weight_decay(-0.5), "weight_decay: decay is -0.5, expected a finite number of at least 0",
                       ConfigurationError);
  CHECK_THROWS_AS((void)weight_decay(std::nan("")), ConfigurationError);
}
