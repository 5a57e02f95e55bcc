#pragma once
/// \file
/// The ziggurat under the normal density (Marsaglia and Tsang, "The ziggurat method for generating random variables",
/// Journal of Statistical Software 5(8), 2000), laid out so that every machine builds it from the same bits.

#include "incontext/core/config.hpp"

#include <array>
#include <cmath>
#include <cstddef>

INCONTEXT_NAMESPACE_BEGIN

namespace detail {

/// f(x) = exp(-x^2 / 2) for |x| <= 4.1, to a relative error of 1e-14: exp(t) = (exp(t / 32))^32, and Taylor's series.
/// Only explicit `fma`s and operations that no compiler may fuse, so that the bits are the same everywhere; `std::exp`
/// differs between mathematics libraries.
[[nodiscard]] inline double gaussian(double x) {
  const double t = x * x / -64.0;
  double value = 1.0;
  for (int term = 12; term >= 1; --term) {  // |t| < 0.27: the term after these is below 1e-17
    value = std::fma(t / term, value, 1.0);
  }
  for (int doubling = 0; doubling < 5; ++doubling) {
    value *= value;
  }
  return value;
}

/// The right half of the area under f, and of the tail, covered by layers of equal area v, numbered from the bottom.
/// Layer 0 is the rectangle [0, r] x [0, f(r)] together with the tail beyond r. Layer i > 0 is the rectangle
/// [0, edge[i]] x [height[i], height[i + 1]], of which all that lies below edge[i + 1] is below f.
struct Ziggurat {
  static constexpr std::size_t layers = 1024;
  /// Where the tail begins: r is such that the uppermost layer ends at f(0) = 1.
  static constexpr double tail = 4.0388498461095045227;
  /// v = r f(r) + integral of f from r on.
  static constexpr double area = 0.0012263246463530880729;

  std::array<double, layers + 1> edge{};    ///< f(edge[i]) = height[i]; edge[0] = v / f(r), as if 0 were a rectangle
  std::array<double, layers + 1> height{};  ///< height[0] = 0, height[1] = f(r), ..., height[layers] = 1

  Ziggurat() {
    height[1] = gaussian(tail);
    edge[0] = area / height[1];
    edge[1] = tail;
    for (std::size_t layer = 1; layer + 1 < layers; ++layer) {
      height[layer + 1] = height[layer] + area / edge[layer];
      edge[layer + 1] = inverse(height[layer + 1], edge[layer]);
    }
    height[layers] = 1.0;  // and edge[layers] = 0
  }

 private:
  /// The x with f(x) = `value` by Newton's method, f'(x) = -x f(x), from a point to the right of it.
  [[nodiscard]] static double inverse(double value, double x) {
    for (int iteration = 0; iteration < 6; ++iteration) {  // steps are at most 0.2 long, and errors square
      const double density = gaussian(x);
      x -= (value - density) / (x * density);
    }
    return x;
  }
};

/// Built at its first use, 16 kB.
[[nodiscard]] inline const Ziggurat& ziggurat() {
  static const Ziggurat layers;
  return layers;
}

}  // namespace detail

INCONTEXT_NAMESPACE_END
