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
  std::size_t near = 48, far = 48;  ///< candidates of each kind, at most
  std::size_t sampling = 8;  ///< of the clusters near a point or around its own, for far ones, one in about so many
};

/// The nodes of a level in the order of their clusters, packed to be scored.
class CandidateSearch {
 public:
  CandidateSearch(const Graph& graph, std::span<const NodeId> nodes, const Clusters& clusters,
                  const CandidateOptions& options);

  /// Positions near one, with approximate distances, in no order; those of the far list may be on the near list too.
  using Visit = std::function<void(std::size_t position, std::span<const Ranked> near, std::span<const Ranked> far)>;

  /// Find the candidates of all points of a cluster. May be called from several threads.
  void visit(std::size_t cluster, const Visit& visit) const;

 private:
  class Search;

  Targets pack(std::size_t cluster) const;
  /// How many points of a cluster are a sample of it: whole panels, or all. As their order is random, the first ones
  /// are.
  std::size_t sampled(std::size_t cluster) const;

  const Graph& graph_;
  std::span<const NodeId> nodes_;
  const Clusters& clusters_;
  CandidateOptions options_;
  std::vector<Targets> blocks_;
};

}  // namespace revector::hnsw
