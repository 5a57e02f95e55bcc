// A function class that the library does not have, added by its user: linear regression with few non-zero weights.
// One small type is enough; sampling, mixtures, pools, maps and curricula come with `LinearTask`.

#include "incontext/predictor/averaging.hpp"
#include "incontext/predictor/predictor.hpp"
#include "incontext/predictor/ridge.hpp"
#include "incontext/task/linear_regression.hpp"
#include "incontext/task/mixture.hpp"

#include <cmath>
#include <cstdio>

using namespace incontext;

namespace {

/// `non_zero` weights, at coordinates chosen uniformly, are N(0, weight_scale^2); the others are 0.
struct SparseWeights {
  Index non_zero = 3;

  void check(const LinearSettings& settings) const {
    require(non_zero >= 1 && non_zero <= settings.dimension, "SparseWeights: non_zero is ", non_zero,
            ", expected 1 to ", settings.dimension);
  }

  [[nodiscard]] Vector draw(Stream& stream, const LinearSettings& settings) const {
    Vector weight = Vector::Zero(settings.dimension);
    const auto order = stream.permutation(settings.dimension);
    for (Index position = 0; position < non_zero; ++position) {
      weight[order[static_cast<std::size_t>(position)]] = settings.weight_scale * stream.normal();
    }
    return weight;
  }
};

using SparseRegression = LinearTask<SparseWeights>;
static_assert(RestrictableTask<SparseRegression>);

/// The squared error against the noiseless target at every point, averaged over prompts: [points].
template <Predictor Method>
Vector error(const Method& method, const Prompts& prompts) {
  return (method.predict(prompts) - prompts.targets).cwiseAbs2().colwise().mean().transpose();
}

}  // namespace

int main() {
  const LinearSettings settings{.dimension = 12, .points = 25, .noise = 0.5};
  const SparseRegression sparse{settings, SparseWeights{.non_zero = 3}};
  const LinearRegression dense{settings};
  const auto mixture = mix(dense, 0.5, sparse);  // as good a task as any: half of the prompts are sparse

  // Ridge is told the variance of a weight: tau^2, of which a sparse prior has the share non_zero / dimension.
  const double share = 3.0 / 12.0;
  const Ridge ridge_for_dense{{.noise = settings.noise, .weight_scale = settings.weight_scale}};
  const Ridge ridge_for_sparse{{.noise = settings.noise, .weight_scale = std::sqrt(share) * settings.weight_scale}};

  const Key key{2024};
  const Prompts prompts = sparse.sample(key.fold("sparse"), 4096);
  const Prompts mixed = mixture.sample(key.fold("mixture"), 4096);
  const Vector columns[] = {error(ridge_for_sparse, prompts), error(ridge_for_dense, prompts),
                            error(Averaging{}, prompts), error(ridge_for_dense, mixed)};

  std::printf("Squared error by number of exemplars: 3 of 12 weights are not 0, noise 0.5, 4096 prompts\n\n");
  std::printf("           |           sparse task           | half dense\n");
  std::printf(" exemplars |    ridge*      ridge  averaging |      ridge\n");
  for (Index point = 0; point < settings.points; point += 4) {
    std::printf(" %9td |", point);
    std::printf(" %9.3f  %9.3f  %9.3f | %10.3f\n", columns[0][point], columns[1][point], columns[2][point],
                columns[3][point]);
  }
  std::printf("\nridge* knows the variance of a sparse weight. Neither ridge knows that most weights are 0.\n");
}
