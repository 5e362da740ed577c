/// @file
/// Rows of small integers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/kernels.hpp"

namespace revector::hnsw {

constexpr float most_int8 = 127;  ///< -128 is left out: its negative is not an int8

/// The step that spreads a row over the integers from -most to most; 0 where there is nothing to tell apart, below the
/// smallest normal float.
inline float rounding_step(const float* x, std::size_t n, float most) {
  float lowest = 0, highest = 0;
  kernels::table().rows.extremes(x, n, &lowest, &highest);
  const float step = std::max(-lowest, highest) / most;
  return step > 0 && std::isfinite(1 / step) ? step : 0;
}

}  // namespace revector::hnsw
