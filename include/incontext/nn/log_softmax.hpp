#pragma once
/// \file
/// What a token model expects of the next token.

#include "incontext/core/config.hpp"
#include "incontext/simd/row_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// log softmax of a row of logits, in nats, [log_probabilities.size()] each.
template <class Scalar>
void log_softmax(const Scalar* logits, std::vector<double>& log_probabilities) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::size_t token = 0; token < log_probabilities.size(); ++token) {
    log_probabilities[token] = static_cast<double>(real_part(logits[token]));
    largest = (std::max)(largest, log_probabilities[token]);
  }
  const double sum = sum_row(
      static_cast<Index>(log_probabilities.size()), [&](const auto& logit) { return exponential(logit - largest); },
      static_cast<const double*>(log_probabilities.data()));
  const double normaliser = largest + std::log(sum);
  for (double& logit : log_probabilities) {
    logit -= normaliser;
  }
}

INCONTEXT_NAMESPACE_END
