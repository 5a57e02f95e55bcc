#pragma once
/// \file
/// k nearest neighbours: a predictor that knows nothing of linearity.

#include "incontext/core/config.hpp"
#include "incontext/core/error.hpp"
#include "incontext/core/matrix.hpp"
#include "incontext/simd/products.hpp"
#include "incontext/task/prompts.hpp"

#include <algorithm>
#include <limits>
#include <vector>

INCONTEXT_NAMESPACE_BEGIN

/// The mean label of the `neighbours` exemplars closest to the query (Garg et al. 2022, section 3), of all exemplars
/// while there are fewer, and 0 without any.
///
/// Exemplars equally far from the query, up to the rounding error of a squared distance, share the places left for
/// them: each of t exemplars that tie for m places weighs m / t. So the order of exemplars never decides.
class NearestNeighbours {
 public:
  struct Settings {
    Index neighbours = 3;  ///< how many exemplars are averaged, at least 1
  };

  /// \throws ConfigurationError if neighbours < 1
  explicit NearestNeighbours(Settings settings) : settings_(settings) {
    require(settings.neighbours >= 1, "NearestNeighbours: neighbours is ", settings.neighbours,
            ", expected at least 1");
  }

  /// [count, points]
  [[nodiscard]] Predictions predict(const Prompts& prompts) const {
    Predictions predictions(prompts.count, prompts.points);
    std::vector<double> distances(static_cast<std::size_t>(prompts.points));
    std::vector<double> sorted = distances;
    for (Index prompt = 0; prompt < prompts.count; ++prompt) {
      for (Index point = 0; point < prompts.points; ++point) {
        for (Index exemplar = 0; exemplar < point; ++exemplar) {
          distances[static_cast<std::size_t>(exemplar)] =
              squared_distance(prompts.input(prompt, exemplar), prompts.input(prompt, point), prompts.dimension);
        }
        predictions(prompt, point) = average(&prompts.labels(prompt, 0), distances, sorted, point, prompts.dimension);
      }
    }
    return predictions;
  }

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  // `sorted` is scratch memory of the size of `distances`.
  [[nodiscard]] double average(const double* labels, const std::vector<double>& distances, std::vector<double>& sorted,
                               Index exemplars, Index dimension) const {
    if (exemplars == 0) {
      return 0.0;
    }
    const Index places = (std::min)(settings_.neighbours, exemplars);
    std::copy_n(distances.begin(), exemplars, sorted.begin());
    std::nth_element(sorted.begin(), sorted.begin() + (places - 1), sorted.begin() + exemplars);
    const double farthest = sorted[static_cast<std::size_t>(places - 1)];
    // A sum of d squared differences has a relative error of at most (d + 2) epsilon / 2, and two are compared.
    const double slack = static_cast<double>(dimension + 2) * std::numeric_limits<double>::epsilon() * farthest;

    double closer_sum = 0.0;
    double tied_sum = 0.0;
    Index closer = 0;
    Index tied = 0;
    for (Index exemplar = 0; exemplar < exemplars; ++exemplar) {
      const double distance = distances[static_cast<std::size_t>(exemplar)];
      if (distance < farthest - slack) {
        closer_sum += labels[exemplar];
        ++closer;
      } else if (distance <= farthest + slack) {
        tied_sum += labels[exemplar];
        ++tied;
      }
    }
    const double share = static_cast<double>(places - closer) / static_cast<double>(tied);
    return (closer_sum + share * tied_sum) / static_cast<double>(places);
  }

  Settings settings_;
};

INCONTEXT_NAMESPACE_END
