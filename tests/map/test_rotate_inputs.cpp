#include "incontext/map/rotate_inputs.hpp"

#include "../task/same_bits.hpp"
#include "incontext/task/linear_regression.hpp"

#include <doctest/doctest.h>

#include <Eigen/LU>

#include <limits>

using namespace incontext;
using incontext_tests::same_bits;

static_assert(InvertibleMap<RotateInputs>);

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

Prompts sample_prompts(Index dimension) {
  return LinearRegression{{.dimension = dimension, .points = 4, .noise = 0.5}}.sample(Key(1), 25);
}

}  // namespace

TEST_CASE("RotateInputs: every input x becomes Q x, and nothing else changes") {
  RowMatrix<double> quarter_turn(2, 2);
  quarter_turn << 0.0, -1.0, 1.0, 0.0;
  const Prompts prompts = sample_prompts(2);
  Prompts mapped = RotateInputs{quarter_turn}.apply(prompts);
  CHECK(mapped.inputs.col(0) == -prompts.inputs.col(1));
  CHECK(mapped.inputs.col(1) == prompts.inputs.col(0));
  mapped.inputs = prompts.inputs;
  CHECK(same_bits(mapped, prompts));
}

TEST_CASE("law 1: invert . apply is the identity up to rounding, for RotateInputs") {
  for (const Index dimension : {1, 2, 5, 8, 20}) {
    const Prompts prompts = sample_prompts(dimension);
    const RotateInputs map = RotateInputs::random(dimension, Key(2));
    Prompts back = map.invert(map.apply(prompts));
    // A product Q x of dimension d has an error of norm at most d epsilon/2 |x| |Q|_F with |Q|_F = sqrt(d), and there
    // are two; what Q lacks in orthogonality comes on top.
    const auto size = static_cast<double>(dimension);
    const RowMatrix<double> product = map.rotation().transpose() * map.rotation();
    const double deviation = (product - RowMatrix<double>::Identity(dimension, dimension)).norm();
    const double tolerance = size * std::sqrt(size) * epsilon + deviation;
    for (Index row = 0; row < prompts.inputs.rows(); ++row) {
      const double error = (back.inputs.row(row) - prompts.inputs.row(row)).norm();
      CHECK(error <= tolerance * prompts.inputs.row(row).norm());
    }
    CHECK(same_bits(map.invert_predictions(prompts.labels, prompts), prompts.labels));
    back.inputs = prompts.inputs;
    CHECK(same_bits(back, prompts));
  }
}

TEST_CASE("RotateInputs: the rotated targets are those of the rotated weights") {
  const Index dimension = 5;
  const RotateInputs map = RotateInputs::random(dimension, Key(3));
  const Vector weight = Vector::LinSpaced(dimension, -1.0, 2.0);
  const Vector rotated = map.rotation() * weight;
  const Prompts prompts = sample_prompts(dimension);
  const Prompts mapped = map.apply(prompts);
  for (Index row = 0; row < prompts.inputs.rows(); ++row) {
    const double before = prompts.inputs.row(row).dot(weight);
    const double after = mapped.inputs.row(row).dot(rotated);
    // Q x and Q w carry d sqrt(d) epsilon/2 each, Q' Q at most 64 d epsilon an entry, and the sums d epsilon/2 each.
    const double tolerance = (2 * dimension * std::sqrt(5.0) + 64 * dimension * dimension) * epsilon;
    CHECK(std::abs(before - after) <= tolerance * weight.norm() * prompts.inputs.row(row).norm());
  }
}

TEST_CASE("RotateInputs::random is uniform over orthogonal matrices") {
  // Under the Haar measure an entry has mean 0 and E q^2 = 1/d, E q^4 = 3/(d (d + 2)), and determinants of both signs
  // are equally likely; entries and columns of other signs than a biased decomposition would leave show up in the mean.
  const Index dimension = 3;
  const int count = 4000;
  RowMatrix<double> mean = RowMatrix<double>::Zero(dimension, dimension);
  RowMatrix<double> square = mean;
  double determinant = 0.0;
  for (int draw = 0; draw < count; ++draw) {
    const RowMatrix<double> rotation = RotateInputs::random(dimension, Key(4).fold(draw)).rotation();
    mean += rotation / count;
    square += rotation.cwiseAbs2() / count;
    determinant += rotation.determinant() / count;
  }
  CHECK(mean.cwiseAbs().maxCoeff() < 5.0 * std::sqrt(1.0 / 3.0 / count));
  const double variance = 3.0 / 15.0 - 1.0 / 9.0;
  CHECK((square.array() - 1.0 / 3.0).abs().maxCoeff() < 5.0 * std::sqrt(variance / count));
  CHECK(std::abs(determinant) < 5.0 / std::sqrt(count));
  CHECK(RotateInputs::random(5, Key(9)).rotation() == RotateInputs::random(5, Key(9)).rotation());
  CHECK_FALSE(RotateInputs::random(5, Key(9)).rotation() == RotateInputs::random(5, Key(8)).rotation());
}

TEST_CASE("RotateInputs: errors name the value and what was expected") {
  RowMatrix<double> shear = RowMatrix<double>::Identity(2, 2);
  shear(0, 1) = 0.25;
  CHECK_THROWS_WITH_AS(RotateInputs{shear}, doctest::Contains("size 0.25"), ConfigurationError);
  CHECK_THROWS_AS(RotateInputs{shear * std::numeric_limits<double>::quiet_NaN()}, ConfigurationError);
  CHECK_THROWS_WITH_AS(RotateInputs{RowMatrix<double>::Identity(2, 3)}, doctest::Contains("[2, 3]"), ShapeError);
  CHECK_THROWS_WITH_AS(RotateInputs{RowMatrix<double>(0, 0)}, doctest::Contains("dimension is 0"), ConfigurationError);
  CHECK_THROWS_WITH_AS(static_cast<void>(RotateInputs::random(0, Key(1))), doctest::Contains("dimension is 0"),
                       ConfigurationError);
  const RotateInputs map = RotateInputs::random(3, Key(1));
  CHECK_THROWS_WITH_AS(static_cast<void>(map.apply(sample_prompts(2))), doctest::Contains("dimension 2"), ShapeError);
  CHECK_THROWS_WITH_AS(static_cast<void>(map.invert(sample_prompts(2))), doctest::Contains("dimension 3"), ShapeError);
}
