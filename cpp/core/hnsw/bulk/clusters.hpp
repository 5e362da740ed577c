/// @file
/// Points in clusters, and which clusters lie near a point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "revector/hnsw.hpp"

namespace revector::hnsw {

/// Rows that are read one by one, by several threads. For cosine they are of unit length.
struct Points {
  std::size_t size, dim;
  std::function<void(std::size_t i, float* out)> read;
};

struct ClusterOptions {
  std::size_t members = 512;  ///< of a cluster, on average; none has more than twice as many
  std::size_t probes = 16;    ///< clusters that are listed as near a point, its own among them
  std::uint64_t seed = 0;
};

/// Positions are those of an order in which clusters follow each other; within one, the order is random.
struct Clusters {
  static constexpr std::uint32_t none = UINT32_MAX;

  std::vector<std::uint32_t> order;   ///< the point at each position
  std::vector<std::uint32_t> begin;   ///< [size + 1] first position of each cluster
  std::vector<std::uint32_t> probes;  ///< [points x width] nearest clusters of each position, its own first, then none
  std::size_t width = 0;

  std::size_t size() const { return begin.size() - 1; }
  std::size_t members(std::size_t cluster) const { return begin[cluster + 1] - begin[cluster]; }
  std::span<const std::uint32_t> near(std::size_t position) const {
    return std::span(probes).subspan(position * width, width);
  }
};

/// k-means over a sample (spherical for cosine), then every point to its nearest centroid. A cluster that turned out
/// too large (copies of one point, say) is cut in parts that count as clusters. On the pool's threads; the result
/// depends on points and options alone.
Clusters cluster(const Points& points, Metric metric, const ClusterOptions& options);

}  // namespace revector::hnsw
