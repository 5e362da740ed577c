/// @file
/// Reproducible matrices for the tests.
#pragma once

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
