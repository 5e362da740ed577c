/// @file
/// Everything that follows links and vectors of a loaded index.
#pragma once

#include <cstdint>
#include <vector>

#include "revector/hnsw.hpp"

inline void use(revector::HnswIndex& index) {
  const std::size_t dim = index.dim();
  std::vector<float> vector(dim, 0.5F), scores(3);
  std::vector<std::int64_t> found(3);
  const auto search = [&] {
    index.search({vector.data(), 1, dim}, 3, 10, {scores.data(), 1, 3}, {found.data(), 1, 3});
  };
  search();
  index.range({vector.data(), 1, dim}, 0, 5);
  index.health();
  const std::vector<std::int64_t> labels = index.labels();
  if (!labels.empty()) index.mark_deleted(std::vector<std::int64_t>{labels.front()});
  index.add({vector.data(), 1, dim}, std::vector<std::int64_t>{7});
  search();
  index.rebuilt();
}
