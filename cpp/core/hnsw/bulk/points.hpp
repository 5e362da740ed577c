/// @file
/// The vectors that a graph is made of.
#pragma once

#include <cstddef>
#include <functional>

namespace revector::hnsw {

/// Rows that are read one by one, by several threads. For cosine they are of unit length.
struct Points {
  std::size_t size, dim;
  std::function<void(std::size_t i, float* out)> read;
};

}  // namespace revector::hnsw
