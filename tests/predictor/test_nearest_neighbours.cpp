#include "incontext/predictor/nearest_neighbours.hpp"

#include "properties.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace incontext;
using namespace predictor_properties;

namespace {

const Key root = Key{8}.fold("nearest neighbours");

// One prompt on a line: exemplars at `positions` with `labels`, and a query at 0.
Prompts on_a_line(const std::vector<double>& positions, const std::vector<double>& labels) {
  Prompts prompts(1, static_cast<Index>(positions.size()) + 1, 1);
  for (std::size_t exemplar = 0; exemplar < positions.size(); ++exemplar) {
    prompts.inputs(static_cast<Index>(exemplar), 0) = positions[exemplar];
    prompts.labels(0, static_cast<Index>(exemplar)) = labels[exemplar];
  }
  return prompts;
}

double last(const NearestNeighbours& predictor, const Prompts& prompts) {
  return predictor.predict(prompts)(0, prompts.points - 1);
}

// Two sums of at most k labels, and three roundings each.
double order_tolerance(const Prompts& prompts) {
  return static_cast<double>(prompts.points + 3) * epsilon * prompts.labels.cwiseAbs().maxCoeff();
}

}  // namespace

TEST_CASE("law 8: nearest neighbours do not depend on the order of the exemplars") {
  for (const Index neighbours : {1, 2, 3, 5, 20}) {
    const NearestNeighbours predictor{{.neighbours = neighbours}};
    // Dependent prompts have equal inputs with different labels: ties at every distance.
    for (const Prompts& prompts :
         {gaussian_prompts(20, 12, 5, 0.5, root.fold("a")), dependent_prompts(20, 12, 5, 0.5, root.fold("b"))}) {
      const Predictions before = predictor.predict(prompts);
      for (int attempt = 0; attempt < 5; ++attempt) {
        const Predictions after = predictor.predict(reordered(prompts, root.fold("order").fold(attempt)));
        CHECK((before - after).col(prompts.points - 1).cwiseAbs().maxCoeff() <= order_tolerance(prompts));
      }
    }
  }
}

TEST_CASE("nearest neighbours average the closest labels") {
  const Prompts prompts = on_a_line({3.0, -1.0, 2.0, -5.0}, {8.0, 1.0, 4.0, 100.0});
  CHECK(last(NearestNeighbours{{.neighbours = 1}}, prompts) == 1.0);
  CHECK(last(NearestNeighbours{{.neighbours = 2}}, prompts) == 2.5);
  CHECK(last(NearestNeighbours{{.neighbours = 4}}, prompts) == 113.0 / 4.0);
}

TEST_CASE("with fewer exemplars than neighbours all are averaged, and none predict 0") {
  const Prompts prompts = on_a_line({3.0, -1.0}, {8.0, 1.0});
  const Predictions predictions = NearestNeighbours{{.neighbours = 3}}.predict(prompts);
  CHECK(predictions(0, 0) == 0.0);
  CHECK(predictions(0, 1) == 8.0);
  CHECK(predictions(0, 2) == 4.5);
}

TEST_CASE("exemplars that tie for the last places share them") {
  // One is closer; three at distance 2 share two places: (1 + 2 (4 + 7 + 10) / 3) / 3.
  const Prompts prompts = on_a_line({2.0, -2.0, 1.0, 2.0, 9.0}, {4.0, 7.0, 1.0, 10.0, 1000.0});
  CHECK(std::abs(last(NearestNeighbours{{.neighbours = 3}}, prompts) - 5.0) <= 8.0 * epsilon);
  // All tie: the mean, for any number of neighbours.
  const Prompts equal = on_a_line({2.0, -2.0, 2.0}, {3.0, 5.0, 10.0});
  CHECK(std::abs(last(NearestNeighbours{{.neighbours = 1}}, equal) - 6.0) <= 8.0 * epsilon);
  CHECK(std::abs(last(NearestNeighbours{{.neighbours = 2}}, equal) - 6.0) <= 8.0 * epsilon);
  // A query equal to two exemplars.
  const Prompts repeated = on_a_line({0.0, 1.0, 0.0}, {3.0, 100.0, 5.0});
  CHECK(last(NearestNeighbours{{.neighbours = 1}}, repeated) == 4.0);
}

TEST_CASE("distances that differ by rounding tie") {
  // The same distance with coordinates in another order: 0.1^2 + 0.2^2 + 0.3^2 depends on the order of the sum.
  Prompts prompts(1, 3, 3);
  prompts.inputs << 0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0;
  prompts.labels << 1.0, 2.0, 0.0;
  CHECK(last(NearestNeighbours{{.neighbours = 1}}, prompts) == 1.5);
}

TEST_CASE("nearest neighbours keep the contract of a predictor") {
  check_contract(NearestNeighbours{{.neighbours = 3}}, gaussian_prompts(3, 9, 3, 0.5, root));
  check_contract(NearestNeighbours{{.neighbours = 2}}, dependent_prompts(3, 9, 3, 0.5, root));
  CHECK(NearestNeighbours{{.neighbours = 3}}.predict(extreme_prompts(5, root)).allFinite());
  CHECK_THROWS_AS((NearestNeighbours{{.neighbours = 0}}), ConfigurationError);
  CHECK_THROWS_AS((NearestNeighbours{{.neighbours = -3}}), ConfigurationError);
}
