// expects: only a stage goes behind a stage
// A map becomes a stage by ConjugatePrompt.
#include "incontext/map/scale_labels.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/policy/pretrain.hpp"
#include "incontext/task/linear_regression.hpp"

using namespace incontext;

int main() {
  const LinearRegression task{{.dimension = 2, .points = 4}};
  static_cast<void>(Pretrain{task, rate(0.1), {.steps = 1}} | ScaleLabels{2.0});
}
