#include "incontext/nn/layer.hpp"

#include "incontext/nn/architecture.hpp"
#include "incontext/nn/block.hpp"
#include "incontext/nn/linear.hpp"
#include "incontext/nn/read_out.hpp"
#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <complex>
#include <vector>

using incontext::Index;
using incontext::Key;
using incontext::Layer;
using incontext::Linear;
using incontext::MatrixView;
using incontext::ParameterId;
using incontext::ParameterLayout;
using incontext::SequenceShape;
using incontext::Workspace;
using incontext_tests::Complex;
using incontext_tests::complex_step;
using incontext_tests::gradient_tolerance;
using incontext_tests::layer_gradients;
using incontext_tests::TensorGradient;
using incontext_tests::worst_error;

namespace {

template <class Type>
constexpr bool is_layer_of_every_scalar = Layer<Type, float>&& Layer<Type, double>&& Layer<Type, std::complex<double>>;

static_assert(is_layer_of_every_scalar<incontext::Linear>);
static_assert(is_layer_of_every_scalar<incontext::ReadOut>);
static_assert(is_layer_of_every_scalar<incontext::LayerNorm>);
static_assert(is_layer_of_every_scalar<incontext::NoNorm>);
static_assert(is_layer_of_every_scalar<incontext::Attention<incontext::SoftmaxKernel, incontext::CausalMask>>);
static_assert(is_layer_of_every_scalar<incontext::Attention<incontext::LinearKernel, incontext::ContextMask>>);
static_assert(is_layer_of_every_scalar<incontext::FeedForward<incontext::Gelu>>);
static_assert(is_layer_of_every_scalar<incontext::Block<incontext::Gpt2>>);
static_assert(is_layer_of_every_scalar<incontext::Block<incontext::LinearSelfAttention>>);
static_assert(!Layer<int, double>);

enum class Mistake { none, input_off_by_a_little, bias_forgotten, overwrites };

// An affine layer whose backward is wrong on purpose.
template <Mistake mistake>
class MistakenLinear {
 public:
  template <class Scalar>
  using Cache = Linear::Cache<Scalar>;

  MistakenLinear(ParameterLayout& layout, Index inputs, Index outputs) : linear_(layout, "linear", inputs, outputs) {}

  template <class Scalar>
  MatrixView<Scalar> forward(incontext::WeightsOf<Scalar> weights, SequenceShape shape, MatrixView<const Scalar> input,
                             Linear::Cache<Scalar>& cache, Workspace<Scalar>& workspace) const {
    return linear_.forward(weights, shape, input, cache, workspace);
  }
  template <class Scalar>
  MatrixView<Scalar> backward(incontext::WeightsOf<Scalar> weights, SequenceShape shape,
                              MatrixView<const Scalar> d_output, const Linear::Cache<Scalar>& cache, Scalar* gradients,
                              Workspace<Scalar>& workspace) const {
    const ParameterId bias = linear_.bias();
    const std::vector<Scalar> before(gradients + bias.offset, gradients + bias.offset + bias.size);
    if (mistake == Mistake::overwrites) {
      std::fill(gradients + bias.offset, gradients + bias.offset + bias.size, Scalar{});
    }
    const MatrixView<Scalar> d_input = linear_.backward(weights, shape, d_output, cache, gradients, workspace);
    if (mistake == Mistake::bias_forgotten) {
      std::copy(before.begin(), before.end(), gradients + bias.offset);
    }
    if (mistake == Mistake::input_off_by_a_little) {
      d_input(0, 0) *= Scalar(1.0 + 1e-8);
    }
    return d_input;
  }

 private:
  Linear linear_;
};

template <Mistake mistake>
double error_of_mistake() {
  ParameterLayout layout;
  const MistakenLinear<mistake> layer(layout, 3, 2);
  return worst_error(layer_gradients(layer, layout, {2, 2}, 3, Key{1}));
}

}  // namespace

TEST_CASE("the rows of a tall matrix are sequences times tokens") {
  CHECK(SequenceShape{3, 5}.rows() == 15);
  CHECK(SequenceShape{}.rows() == 0);
}

TEST_CASE("a parameter's view starts at its offset") {
  std::vector<double> buffer(40);
  const ParameterId id{16, 6};
  CHECK(incontext::vector_of(buffer.data(), id) == buffer.data() + 16);
  const MatrixView<double> matrix = incontext::matrix_of(buffer.data(), id, 2);
  CHECK(matrix.data == buffer.data() + 16);
  CHECK(matrix.rows == 2);
  CHECK(matrix.columns == 3);
  CHECK(matrix.stride == 3);
}

TEST_CASE("the complex step differentiates what is known in closed form") {
  // exp(a) / b + a^3 at (0.7, -1.3).
  const std::vector<double> derivative = complex_step({0.7, -1.3}, [](const incontext::AlignedVector<Complex>& at) {
    return std::exp(at[0]) / at[1] + at[0] * at[0] * at[0];
  });
  CHECK(derivative[0] == doctest::Approx(std::exp(0.7) / -1.3 + 3.0 * 0.49).epsilon(1e-15));
  CHECK(derivative[1] == doctest::Approx(-std::exp(0.7) / 1.69).epsilon(1e-15));
}

TEST_CASE("law 9: the check of gradients passes what is right and fails what is wrong") {
  CHECK(error_of_mistake<Mistake::none>() < 1e-14);
  CHECK(error_of_mistake<Mistake::input_off_by_a_little>() > gradient_tolerance);
  CHECK(error_of_mistake<Mistake::bias_forgotten>() == doctest::Approx(1.0));
  CHECK(error_of_mistake<Mistake::overwrites>() > 0.01);

  // Every single entry of every tensor is looked at, and NaN is never taken for agreement.
  ParameterLayout layout;
  const Linear layer(layout, "linear", 3, 2);
  const std::vector<TensorGradient> right = layer_gradients(layer, layout, {2, 2}, 3, Key{2});
  for (std::size_t tensor = 0; tensor < right.size(); ++tensor) {
    for (std::size_t index = 0; index < right[tensor].backward.size(); ++index) {
      std::vector<TensorGradient> wrong = right;
      wrong[tensor].backward[index] += 1e-8 * incontext_tests::norm(right[tensor].complex_step);
      CHECK(worst_error(wrong) > gradient_tolerance);
      wrong[tensor].backward[index] = std::nan("");
      CHECK_FALSE(worst_error(wrong) < gradient_tolerance);
    }
  }
  CHECK_FALSE(worst_error({}) < gradient_tolerance);
}
