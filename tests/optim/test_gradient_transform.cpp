#include "incontext/optim/gradient_transform.hpp"

#include "incontext/optim/adam.hpp"
#include "incontext/optim/adam_w.hpp"
#include "incontext/optim/clip_norm.hpp"
#include "incontext/optim/momentum.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/optim/weight_decay.hpp"
#include "optim/example.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using incontext::GradientTransform;
using incontext::Index;
using incontext::Key;
using incontext::ParameterBuffer;
using incontext_tests::example_buffer;
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
