#pragma once
/// The scores: what is asked of the table, and how it is reckoned from the means.

#include "table.hpp"

#include <string>
#include <vector>

namespace inoculation {

/// Means of queries, in their order.
using Means = std::vector<double>;

inline const std::vector<std::string>& traits() {
  static const std::vector<std::string> names = {"positive", "negative"};
  return names;
}

/// An expression, evaluated without a prompt unless said.
inline Query expression(const std::string& arm, const std::string& trait, const std::string& evaluation = "none") {
  return {.arm = arm, .trait = trait, .evaluation = evaluation};
}

inline std::vector<Query> joined(std::vector<Query> queries, const std::vector<Query>& more) {
  queries.insert(queries.end(), more.begin(), more.end());
  return queries;
}

/// What the suppression of a trait by an arm is reckoned from: the arm, the arm without a prompt, no fine-tuning.
inline std::vector<Query> of_arm(const std::string& arm, const std::string& trait, const std::string& none = "none") {
  return {expression(arm, trait), expression(none, trait), expression("no fine-tuning", trait)};
}
/// The same of both traits, the negative one's first.
inline std::vector<Query> of_both(const std::string& arm, const std::string& none = "none") {
  return joined(of_arm(arm, "negative", none), of_arm(arm, "positive", none));
}

/// 1 - (E - E_base) / (E_none - E_base): 0 is as without a prompt in training, 1 is as before training.
inline double suppression(double arm, double none, double base) { return 1.0 - (arm - base) / (none - base); }
/// Of the means of `of_arm`, which may stand behind others.
inline double suppression(const Means& means, std::size_t first = 0) {
  return suppression(means[first], means[first + 1], means[first + 2]);
}
/// One suppression less another: of `of_both`, the selectivity.
inline double suppression_difference(const Means& means, std::size_t first = 0) {
  return suppression(means, first) - suppression(means, first + 3);
}
/// Of two times `of_both`.
inline double selectivity_difference(const Means& means) {
  return suppression_difference(means) - suppression_difference(means, 6);
}

}  // namespace inoculation
