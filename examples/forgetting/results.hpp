#pragma once
/// What the studies of all seeds and mixture weights leave.

#include <incontext/report/number.hpp>
#include <incontext/report/record.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace forgetting {

using namespace incontext;

/// One prompt's forgetting beside its likelihood under the fine-tuning distribution (claim 5).
struct LikelihoodPoint {
  std::string study;
  std::uint64_t seed = 0;
  double log_likelihood = 0.0;  ///< log p_disc of the exemplars' labels, in nats
  double error_before = 0.0;    ///< squared error against the target, pretrained
  double error_after = 0.0;     ///< the same, fine-tuned
};

/// What a study leaves: tidy records, and one point for every prompt of claim 5.
struct Results {
  std::vector<Record> records;
  std::vector<LikelihoodPoint> likelihoods;
};

/// "alpha=0.5", the name of one pretraining mixture in the table's first column.
inline std::string study_name(double alpha) { return "alpha=" + shortest_text(alpha); }

}  // namespace forgetting
