#pragma once
/// \file
/// AdamW (Loshchilov and Hutter 2019): Adam's direction with decoupled weight decay.

#include "incontext/optim/adam.hpp"
#include "incontext/optim/chain.hpp"
#include "incontext/optim/weight_decay.hpp"

#include <string>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Hyperparameters of AdamW; the defaults are PyTorch's.
struct AdamWSettings {
  AdamSettings adam = {};
  double decay = 0.01;
  // Not = {"*"}: inside a template, g++ 12 crashes on the initialiser list.
  std::vector<std::string> decayed = std::vector<std::string>(1, "*");  ///< name patterns of what decays
};

/// chain(adam_w({.decay = 0.1}), rate(1e-3)).
[[nodiscard]] inline Chain<Adam, WeightDecay> adam_w(const AdamWSettings& settings = {}) {
  return chain(Adam(settings.adam), WeightDecay(settings.decay, settings.decayed));
}

INCONTEXT_NAMESPACE_END
