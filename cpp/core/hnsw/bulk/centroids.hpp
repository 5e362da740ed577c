/// @file
/// Centroids of points, and which of them lie near a point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned.hpp"
#include "core/hnsw/bulk/points.hpp"
#include "core/hnsw/bulk/products.hpp"
#include "core/hnsw/bulk/shortlist.hpp"
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
  friend class PackedCentroids;

  std::size_t n_groups() const { return first_.size() - 1; }

  std::size_t dim_;
  bool spherical_;
  AlignedFloats groups_, rows_;     // centres of the groups; the centroids, group by group
  std::vector<std::size_t> first_;  // centroid of each group, and their number
};

/// Centroids packed to be compared with blocks of points; they need not outlive this.
class PackedCentroids {
 public:
  PackedCentroids(const Centroids& all, bool by_distance);

  /// Write what Centroids::nearest() returns for points [begin, end). May be called from several threads.
  void nearest(const Points& points, std::size_t begin, std::size_t end, std::size_t width, std::uint32_t* near) const;

 private:
  std::vector<std::vector<std::uint32_t>> visitors_of_groups(const Operand& rows, AlignedFloats& scores) const;
  void offer(std::size_t group, const Operand& some, std::span<const std::uint32_t> visitors, AlignedFloats& scores,
             std::vector<Shortlist>& found) const;

  std::vector<std::size_t> first_;  // centroid of each group
  Targets centres_;
  std::vector<Targets> groups_;  // the centroids of each
};

}  // namespace revector::hnsw
