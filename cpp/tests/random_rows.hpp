/// @file
/// Reproducible matrices for the tests, and the cosine that results are compared with.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "revector/matrix.hpp"

/// A matrix that owns its rows.
struct Rows {
  Rows(std::size_t n, std::size_t d, unsigned seed) : n(n), d(d), values(n * d) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(engine);
  }
  revector::MatrixView<float> view() { return {values.data(), n, d}; }
  float* row(std::size_t i) { return values.data() + i * d; }

  std::size_t n, d;
  std::vector<float> values;
};

/// In float64; 0 where a row is zero.
inline double cosine(const float* a, const float* b, std::size_t d) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < d; ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}
