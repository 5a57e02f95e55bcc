#include "incontext/nn/position.hpp"

#include "incontext/nn/transformer.hpp"

#include <doctest/doctest.h>

#include <vector>

using incontext::Gpt2;
using incontext::Index;
using incontext::Key;
using incontext::LearnedPositions;
using incontext::NoPositions;
using incontext::Transformer;

namespace {

struct WithoutPositions : Gpt2 {
  using Position = NoPositions;
};

}  // namespace

TEST_CASE("learned positions have a table, no positions have none") {
  static_assert(LearnedPositions::is_present && !NoPositions::is_present);
  const Transformer<float, Gpt2> learned({.dimension = 2, .points = 3, .layers = 1, .heads = 1, .width = 4}, Key{1});
  CHECK(learned.parameters().layout().at("transformer.wpe.weight").shape == std::vector<Index>{5, 4});
  const Transformer<float, WithoutPositions> none({.dimension = 2, .points = 3, .layers = 1, .heads = 1, .width = 4},
                                                  Key{1});
  CHECK(none.parameters().layout().find("transformer.wpe.weight") == nullptr);
}

TEST_CASE("without positions no sequence is too long") {
  const Transformer<double, WithoutPositions> model({.dimension = 2, .points = 3, .layers = 1, .heads = 1, .width = 4},
                                                    Key{1});
  CHECK(model.predict(incontext::Prompts(1, 50, 2)).cols() == 50);
}
