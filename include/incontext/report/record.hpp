#pragma once
/// \file
/// One measured number and everything that says what it is.

#include "incontext/core/config.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// One row of the tidy table `study,seed,stage,task,exemplars,predictor,metric,value`.
struct Record {
  std::string study{};
  std::uint64_t seed = 0;
  std::string stage{};      ///< when it was measured: "pretrained", "fine-tuned"
  std::string task{};       ///< on which distribution of prompts
  Index exemplars = 0;      ///< how many exemplars the predictor saw
  std::string predictor{};  ///< the model, or the closed form that it is compared with
  std::string metric{};     ///< what the value is, with its unit: "squared error, noiseless target"
  double value = 0.0;

  bool operator==(const Record&) const = default;
};

/// Puts `added` behind `records`.
inline void append_records(std::vector<Record>& records, std::span<const Record> added) {
  records.insert(records.end(), added.begin(), added.end());
}

INCONTEXT_NAMESPACE_END
