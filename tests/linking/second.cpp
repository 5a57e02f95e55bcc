// Eigen comes first here and second in the other unit: the order of includes must not change the ABI.
#include <Eigen/Dense>

#include "everything.hpp"

double draw(const incontext::Prompts& prompts, incontext::Key key) {
  return prompts.inputs.sum() + incontext::Stream(key).uniform();
}
