#pragma once
/// \file
/// Inputs with their coordinates in another order.

#include "incontext/map/map.hpp"

#include <algorithm>
#include <utility>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// Coordinate j of the mapped input is coordinate order[j] of the input. Labels stay, so the weights of the mapped
/// prompt are permuted in the same way, and predictions need no inverse. Exact.
class PermuteCoordinates {
 public:
  /// \throws ConfigurationError if `order` does not hold each of 0, ..., dimension - 1 once, or is empty
  explicit PermuteCoordinates(std::vector<Index> order) : order_(std::move(order)) {
    const auto dimension = static_cast<Index>(order_.size());
    require(dimension >= 1, "PermuteCoordinates: dimension is ", dimension, ", expected at least 1");
    std::vector<bool> seen(order_.size(), false);
    for (const Index coordinate : order_) {
      require(coordinate >= 0 && coordinate < dimension, "PermuteCoordinates: coordinate ", coordinate,
              ", expected 0 to ", dimension - 1);
      require(!seen[static_cast<std::size_t>(coordinate)], "PermuteCoordinates: coordinate ", coordinate,
              " is there twice");
      seen[static_cast<std::size_t>(coordinate)] = true;
    }
  }

  /// A uniformly random order. \throws ConfigurationError if dimension is below 1
  [[nodiscard]] static PermuteCoordinates random(Index dimension, Key key) {
    require(dimension >= 1, "PermuteCoordinates::random: dimension is ", dimension, ", expected at least 1");
    return PermuteCoordinates(Stream(key).permutation(dimension));
  }

  /// \throws ShapeError if the prompts have another dimension
  [[nodiscard]] Prompts apply(Prompts prompts) const {
    check(prompts);
    std::vector<double> input(order_.size());
    for (Index row = 0; row < prompts.inputs.rows(); ++row) {
      std::copy_n(prompts.inputs.data() + row * prompts.dimension, prompts.dimension, input.begin());
      for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
        prompts.inputs(row, coordinate) = input[static_cast<std::size_t>(order_[static_cast<std::size_t>(coordinate)])];
      }
    }
    return prompts;
  }

  /// \throws ShapeError if the prompts have another dimension
  [[nodiscard]] Prompts invert(Prompts prompts) const {
    check(prompts);
    std::vector<double> input(order_.size());
    for (Index row = 0; row < prompts.inputs.rows(); ++row) {
      std::copy_n(prompts.inputs.data() + row * prompts.dimension, prompts.dimension, input.begin());
      for (Index coordinate = 0; coordinate < prompts.dimension; ++coordinate) {
        prompts.inputs(row, order_[static_cast<std::size_t>(coordinate)]) = input[static_cast<std::size_t>(coordinate)];
      }
    }
    return prompts;
  }

  [[nodiscard]] Predictions invert_predictions(Predictions predictions, const Prompts&) const { return predictions; }

  [[nodiscard]] const std::vector<Index>& order() const { return order_; }

 private:
  void check(const Prompts& prompts) const {
    require<ShapeError>(prompts.dimension == static_cast<Index>(order_.size()),
                        "PermuteCoordinates: prompts of dimension ", prompts.dimension, " for a permutation of ",
                        order_.size(), " coordinates");
  }

  std::vector<Index> order_;
};

INCONTEXT_NAMESPACE_END
