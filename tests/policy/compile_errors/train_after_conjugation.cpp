// expects: a training stage comes after ConjugatePrompt
// A conjugated run is a predictor: nothing is left to train.
#include "incontext/map/scale_labels.hpp"
#include "incontext/nn/transformer.hpp"
#include "incontext/optim/rate.hpp"
#include "incontext/policy/conjugate_prompt.hpp"
#include "incontext/policy/pretrain.hpp"
#include "incontext/task/linear_regression.hpp"

using namespace incontext;

int main() {
  const LinearRegression task{{.dimension = 2, .points = 4}};
  const auto study = ConjugatePrompt{ScaleLabels{2.0}} | Pretrain{task, rate(0.1), {.steps = 1}};
  static_cast<void>(study(start(Transformer<float>{{.dimension = 2, .points = 4}, Key{1}}, Key{2})));
}
