#include "incontext/optim/gradient_transform.hpp"

#include "incontext/optim/adam.hpp"
#include "incontext/optim/adam_w.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/momentum.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/optim/weight_decay.hpp"
#include "optim/example.hpp"
#include "simd/island.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

using incontext::GradientTransform;
using incontext::Index;
using incontext::Key;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
using incontext_tests::same_bits;
using incontext_tests::updated;
using incontext_tests::visited;

namespace {

static_assert(GradientTransform<incontext::Adam>);
static_assert(GradientTransform<incontext::ClipNorm>);
static_assert(GradientTransform<incontext::Momentum>);
static_assert(GradientTransform<incontext::WeightDecay>);
static_assert(GradientTransform<incontext::Rate<incontext::Constant>>);
static_assert(GradientTransform<incontext::Chain<incontext::Adam, incontext::WeightDecay>>);
static_assert(!GradientTransform<int>);

// What a user would write: nothing is registered, and it chains with the others.
struct SignOnly : incontext::StatelessTransform {
  template <class Scalar>
  void update(ParameterBuffer<Scalar>& updates, const ParameterBuffer<Scalar>&, Index, State<Scalar>&) const {
    for (Scalar& value : updates.values()) {
      value = static_cast<Scalar>((value > Scalar{0}) - (value < Scalar{0}));
    }
  }
  [[nodiscard]] std::string describe() const { return "sign_only"; }
};
static_assert(GradientTransform<SignOnly>);

}  // namespace

TEST_CASE("a transform of one's own chains with the others") {
  const auto transform = chain(SignOnly{}, incontext::rate(0.5));
  CHECK(transform.describe() == "chain(sign_only, rate(constant(0.5)))");
  CHECK(visited(transform).empty());
  const auto gradient = example_buffer<double>(Key{1});
  const auto update = updated(transform, gradient, example_buffer<double>(Key{2}));
  for (Index index = 0; index < gradient.size(); ++index) {
    const double value = gradient.data()[index];
    CHECK(update.data()[index] == (value > 0.0 ? -0.5 : value < 0.0 ? 0.5 : 0.0));
  }
}

TEST_CASE("slices of a buffer are whole cache lines, cover it once, and are one of a small buffer") {
  for (const Index size : {Index{16}, Index{160}, (Index{1} << 17) - 16, Index{1} << 17, (Index{1} << 17) + 48}) {
    CAPTURE(size);
    Index end = 0;
    Index count = 0;
    incontext::for_each_slice({}, size, [&](Index first, Index last, Index slice) {
      CHECK(first == end);
      CHECK(first % 16 == 0);
      CHECK(slice == count++);
      end = last;
    });
    CHECK(end == size);
    CHECK(count == (size < Index{1} << 17 ? 1 : static_cast<Index>(incontext::most_slices)));
  }
}

TEST_CASE("law 7: the number of worker threads never changes a bit of an update, though a part takes no executor") {
  // Large enough for several slices, and not a multiple of them.
  auto layout = std::make_shared<incontext::ParameterLayout>();
  layout->declare("all", {(Index{1} << 17) + 1040});
  const std::shared_ptr<const incontext::ParameterLayout> shared = layout;
  ParameterBuffer<float> gradient(shared);
  ParameterBuffer<float> parameters(shared);
  incontext::Stream(Key{3}).fill_normal(gradient.data(), gradient.data() + gradient.size());
  incontext::Stream(Key{4}).fill_normal(parameters.data(), parameters.data() + parameters.size());
  // Clipped, so that the factor has the bits of the norm.
  const auto transform =
      chain(incontext::clip_norm(1.0), incontext::adam(), incontext::weight_decay(0.1), incontext::rate(1e-3));
  const auto after = [&](incontext::ExecutorReference executor) {
    auto state = transform.init<float>(shared);
    ParameterBuffer<float> updates = gradient;
    for (Index step = 0; step < 3; ++step) {
      incontext::update_on(executor, transform, updates, parameters, step, state);
    }
    return std::vector<float>(updates.data(), updates.data() + updates.size());
  };
  const std::vector<float> expected = after({});
  for (const Index threads : {2, 3}) {
    incontext::ThreadExecutor executor(threads);
    CHECK(same_bits(after(executor), expected));
    CHECK(incontext::global_norm(gradient, executor) == incontext::global_norm(gradient));
  }
}
