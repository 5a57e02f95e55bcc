// expects: the first argument of Pretrain is not a Task
// The optimiser stands where the task belongs.
#include "incontext/optim/rate.hpp"
#include "incontext/policy/pretrain.hpp"

using namespace incontext;

int main() { static_cast<void>(Pretrain{rate(0.1), rate(0.1), {.steps = 1}}); }
