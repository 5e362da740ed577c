/// @file
/// Points in clusters, and which clusters lie near a point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/hnsw/bulk/centroids.hpp"
#include "core/hnsw/bulk/points.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

struct ClusterOptions {
  std::size_t members = 192;  ///< of a cluster, on average; none has more than twice as many
  std::size_t probes = 16;    ///< clusters that are listed as near a point, its own among them; of those around that
  std::size_t around = 32;    ///< clusters that are listed as near a cluster, itself among them
  std::uint64_t seed = 0;
};

/// Positions are those of an order in which clusters follow each other; within one, the order is random.
struct Clusters {
  static constexpr std::uint32_t none = UINT32_MAX;

  /// Lists of the same length, those that are shorter ended by none.
  struct Lists {
    std::vector<std::uint32_t> all;
    std::size_t width = 0;
    void resize(std::size_t n, std::size_t n_each) {
      width = n_each;
      all.resize(n * width);
    }
    std::span<const std::uint32_t> of(std::size_t i) const { return std::span(all).subspan(i * width, width); }
    std::span<std::uint32_t> of(std::size_t i) { return std::span(all).subspan(i * width, width); }
  };

  std::vector<std::uint32_t> order;  ///< the point at each position
  std::vector<std::uint32_t> begin;  ///< [size + 1] first position of each cluster
  Lists around;                      ///< clusters near each cluster, itself first
  PackedCentroids centroids;
  std::vector<std::uint32_t> first_part;  ///< [centroids + 1] a centroid's members are in one cluster or in several
  std::size_t probes;                     ///< centroids that near() looks for

  std::size_t size() const { return begin.size() - 1; }
  std::size_t members(std::size_t cluster) const { return begin[cluster + 1] - begin[cluster]; }
  /// Clusters near each member of one, that one first. They are found anew: kept for all points they would take half as
  /// much as the links of a graph, and finding them costs a thirtieth of a build.
  /// @param members  of the cluster, in order
  Lists near(std::size_t cluster, const Points& members) const;
};

/// Every point to its centroid. A cluster that turned out too large (copies of one point, say) is cut
/// in parts that count as clusters. On the pool's threads; the result depends on points and options alone.
Clusters cluster(const Points& points, Metric metric, const ClusterOptions& options);

}  // namespace revector::hnsw
