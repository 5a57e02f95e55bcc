#include "incontext/map/mapped_task.hpp"

#include "../task/same_bits.hpp"
#include "../task/zeros.hpp"
#include "incontext/map/compose.hpp"
#include "incontext/map/permute_coordinates.hpp"
#include "incontext/map/prefix_tokens.hpp"
#include "incontext/map/rotate_inputs.hpp"
#include "incontext/map/scale_labels.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/mixture.hpp"
#include "incontext/task/pool.hpp"

#include <doctest/doctest.h>

using namespace incontext;
using incontext_tests::same_bits;
using incontext_tests::Zeros;

namespace {

/// A map that chooses at random: it folds its name into the key of the prompts.
struct FlipSomeLabels {
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      if (Stream(prompts.key.fold("FlipSomeLabels").fold(prompt)).uniform() < 0.5) {
        prompts.labels.row(prompt) *= -1.0;
      }
    }
    return prompts;
  }
};

template <class Left, class Right>
concept Pipeable = requires(Left left, Right right) {
  left | right;
};

static_assert(Task<MappedTask<Zeros, ScaleLabels>> && !RestrictableTask<MappedTask<Zeros, ScaleLabels>>);
static_assert(RestrictableTask<MappedTask<Pool, ScaleLabels>>);
// A task goes on the left of a map, and nothing else is taken for one or the other.
static_assert(Pipeable<Zeros, ScaleLabels> && !Pipeable<ScaleLabels, Zeros> && !Pipeable<Zeros, Zeros>);
static_assert(!Pipeable<Zeros, int> && !Pipeable<double, ScaleLabels> && !Pipeable<ScaleLabels, Prompts>);

const LinearRegression broad{{.dimension = 3, .points = 4, .noise = 0.5}};

}  // namespace

TEST_CASE("MappedTask: samples the mapped prompts of the task") {
  const auto task = broad | ScaleLabels{3.0};
  CHECK(same_bits(task.sample(Key(1), 6), ScaleLabels{3.0}.apply(broad.sample(Key(1), 6))));
  CHECK(task.sample(Key(1), 6).key == Key(1));
}

TEST_CASE("law 4: composition of a task and maps is associative, bit for bit") {
  const RotateInputs a = RotateInputs::random(3, Key(2));
  const ScaleLabels b{1.7};
  const PrefixTokens c{{3, 1}};
  const auto mixture = mix(broad, 0.5, pool(broad, 4, Key(3)));
  CHECK(same_bits(((mixture | a) | b).sample(Key(1), 20), (mixture | (a | b)).sample(Key(1), 20)));
  CHECK(same_bits((mixture | a | b | c).sample(Key(1), 20), (mixture | (a | (b | c))).sample(Key(1), 20)));
  CHECK(same_bits(((mixture | FlipSomeLabels{}) | a).sample(Key(1), 20),
                  (mixture | (FlipSomeLabels{} | a)).sample(Key(1), 20)));
}

TEST_CASE("MappedTask: sampling stays pure and prefix-stable") {
  const auto task = broad | RotateInputs::random(3, Key(2)) | FlipSomeLabels{} | PrefixTokens{{3, 1}};
  const Prompts batch = task.sample(Key(7), 20);
  CHECK(same_bits(batch, task.sample(Key(7), 20)));
  for (const Index count : {0, 1, 13, 19}) {
    CHECK(same_bits(batch.slice(0, count), task.sample(Key(7), count)));
  }
}

TEST_CASE("MappedTask: restricting restricts the inner task") {
  const auto task = broad | PermuteCoordinates{{2, 0, 1}} | ScaleLabels{3.0};
  CHECK(task.extent() == broad.extent());
  CHECK(same_bits(task.restricted(task.extent()).sample(Key(7), 20), task.sample(Key(7), 20)));
  const auto part = task.restricted({.dimension = 2, .points = 3});
  CHECK(part.extent() == Extent{.dimension = 2, .points = 3});
  CHECK(same_bits(part.sample(Key(7), 20),
                  (PermuteCoordinates{{2, 0, 1}} | ScaleLabels{3.0})
                      .apply(broad.restricted({.dimension = 2, .points = 3}).sample(Key(7), 20))));
}
