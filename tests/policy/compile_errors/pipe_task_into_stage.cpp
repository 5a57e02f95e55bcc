// expects: only a stage goes in front of a stage
// A task is an argument of the stage that trains on it.
#include "incontext/optim/rate.hpp"
#include "incontext/policy/pretrain.hpp"
#include "incontext/task/linear_regression.hpp"

using namespace incontext;

int main() {
  const LinearRegression task{{.dimension = 2, .points = 4}};
  static_cast<void>(task | Pretrain{task, rate(0.1), {.steps = 1}});
}
