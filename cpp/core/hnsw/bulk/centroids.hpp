/// @file
/// Centroids of points, and which of them lie near a point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned.hpp"
#include "core/hnsw/bulk/points.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

/// Centroids in two steps: k-means makes about sqrt(k) groups, and k-means again in each group its share of the k.
/// Those near a point are looked for in the groups near it. So to make them and to find them takes some multiple of
/// sqrt(k) products a point, where one step would take k.
///
/// On the pool's threads; what comes out depends on points, metric, k and seed alone.
class Centroids {
 public:
  /// From a sample of the points; spherical for cosine.
  /// @param k  1 to points.size; about so many are made
  Centroids(const Points& points, Metric metric, std::size_t k, std::uint64_t seed);

  std::size_t size() const { return rows_.size() / dim_; }
  /// The centroids themselves.
  Points points() const;

  /// [points x width] the nearest centroids of each point, nearest first; UINT32_MAX where fewer were found.
  /// @param by_distance  or by product alone
  std::vector<std::uint32_t> nearest(const Points& points, bool by_distance, std::size_t width) const;

 private:
  class Comparison;

  std::size_t n_groups() const { return first_.size() - 1; }

  std::size_t dim_;
  bool spherical_;
  AlignedFloats groups_, rows_;     // centres of the groups; the centroids, group by group
  std::vector<std::size_t> first_;  // centroid of each group, and their number
};

}  // namespace revector::hnsw
