#include "incontext/nn/attention_kernel.hpp"

#include "nn/complex_step.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using incontext::AlignedVector;
using incontext::Index;
using incontext::Key;
using incontext::LinearKernel;
using incontext::MatrixView;
using incontext::SoftmaxKernel;
using incontext_tests::Complex;
using incontext_tests::complex_step;
using incontext_tests::gradient_tolerance;
using incontext_tests::normals;
using incontext_tests::worst_error;

namespace {

// One row.
template <class Kernel, class Scalar>
void forward(Scalar scale, Index visible, Index length, Scalar* scores) {
  Kernel::forward(scale, MatrixView<Scalar>(scores, 1, length), [visible](Index) { return visible; });
}
template <class Kernel, class Scalar>
void backward(Scalar scale, Index visible, Index length, const Scalar* weights, Scalar* d_weights) {
  Kernel::backward(scale, MatrixView<const Scalar>(weights, 1, length), MatrixView<Scalar>(d_weights, 1, length),
                   [visible](Index) { return visible; });
}

}  // namespace

TEST_CASE("the scale is one over the root of the head size for softmax, one for linear attention") {
  CHECK(SoftmaxKernel::scale(16) == 0.25);
  CHECK(SoftmaxKernel::scale(1) == 1.0);
  CHECK(LinearKernel::scale(16) == 1.0);
}

TEST_CASE("linear attention scales, divides by the number of visible tokens and hides the rest") {
  std::vector<double> scores = {3.0, 6.0, 9.0, 5.0, 7.0};
  forward<LinearKernel>(0.5, 3, 5, scores.data());
  CHECK(scores == std::vector<double>{0.5, 1.0, 1.5, 0.0, 0.0});
}

TEST_CASE_TEMPLATE("a token that sees nothing has no weights and no gradient", Kernel, SoftmaxKernel, LinearKernel) {
  std::vector<double> scores = {3.0, 6.0};
  forward<Kernel>(1.0, 0, 2, scores.data());
  CHECK(scores == std::vector<double>{0.0, 0.0});
  std::vector<double> d_weights = {1.0, 2.0};
  backward<Kernel>(1.0, 0, 2, static_cast<const double*>(scores.data()), d_weights.data());
  CHECK(d_weights == std::vector<double>{0.0, 0.0});
}

TEST_CASE_TEMPLATE("law 9: the backward of an attention kernel agrees with the complex-step derivative", Kernel,
                   SoftmaxKernel, LinearKernel) {
  for (const Index length : {1, 2, 5, 8, 19}) {
    for (const Index visible : {Index{1}, (length + 1) / 2, length}) {
      CAPTURE(length);
      CAPTURE(visible);
      const AlignedVector<double> scores = normals(length, Key{1});
      const AlignedVector<double> weighting = normals(length, Key{2});
      AlignedVector<double> weights = scores;
      forward<Kernel>(0.7, visible, length, weights.data());
      AlignedVector<double> d_scores = weighting;
      backward<Kernel>(0.7, visible, length, static_cast<const double*>(weights.data()), d_scores.data());
      const std::vector<double> by_step = complex_step(scores, [&](const AlignedVector<Complex>& moved) {
        AlignedVector<Complex> complex_weights = moved;
        forward<Kernel>(Complex(0.7), visible, length, complex_weights.data());
        Complex sum = 0.0;
        for (std::size_t index = 0; index < weighting.size(); ++index) {
          sum += weighting[index] * complex_weights[index];
        }
        return sum;
      });
      if (incontext_tests::norm(by_step) < 1e-15) {
        // Softmax of one entry is one, whatever the entry.
        CHECK(incontext_tests::norm({d_scores.begin(), d_scores.end()}) < 1e-15);
      } else {
        CHECK(worst_error({{"scores", {d_scores.begin(), d_scores.end()}, by_step}}) < gradient_tolerance);
      }
    }
  }
}
