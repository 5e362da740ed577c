/// @file
/// Which points may become neighbours of a point: products of a cluster with the clusters near it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/hnsw/bulk/clusters.hpp"
#include "core/hnsw/bulk/products.hpp"
#include "core/hnsw/bulk/shortlist.hpp"
#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Near ones make a list exact; far ones, the nearest of a random part of the points, are where long links lead. A
/// graph of near ones alone is hard to cross.
struct CandidateOptions {
  std::size_t near = 48, far = 48;  ///< candidates of each kind
  std::size_t near_probes = 16;     ///< clusters whose points are all looked at
  std::size_t sampling = 8;         ///< of the other clusters that are listed, and for far candidates, one in so many
};

/// The nodes of a level in the order of their clusters, packed to be scored.
class CandidateSearch {
 public:
  CandidateSearch(const Graph& graph, std::span<const NodeId> nodes, const Clusters& clusters,
                  const CandidateOptions& options);

  /// Positions near one, with approximate distances, in no order; those of the far list may be on the near list too.
  using Visit =
      std::function<void(std::size_t position, std::span<const Neighbor> near, std::span<const Neighbor> far)>;

  /// Find the candidates of all points of a cluster. May be called from several threads.
  void visit(std::size_t cluster, const Visit& visit) const;

 private:
  /// The points of a cluster; as their order is random, the first ones are a sample.
  struct Block {
    Targets sample, rest;
  };
  class Search;

  Block pack(std::size_t cluster) const;
  std::size_t sampled(std::size_t cluster) const {
    return (clusters_.members(cluster) + options_.sampling - 1) / options_.sampling;
  }

  const Graph& graph_;
  std::span<const NodeId> nodes_;
  const Clusters& clusters_;
  CandidateOptions options_;
  std::vector<Block> blocks_;
};

}  // namespace revector::hnsw
