// expects: the second argument of FineTune is not a GradientTransform
// A learning rate alone is a number, not an optimiser.
#include "incontext/policy/fine_tune.hpp"
#include "incontext/task/linear_regression.hpp"

using namespace incontext;

int main() {
  const LinearRegression task{{.dimension = 2, .points = 4}};
  static_cast<void>(FineTune{task, 0.1, {.steps = 1}});
}
