/// @file
/// The links of one level, made at once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/hnsw/bulk/candidates.hpp"
#include "core/hnsw/bulk/clusters.hpp"
#include "core/hnsw/bulk/progress.hpp"
#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

struct LayerOptions {
  CandidateOptions candidates;
  std::size_t chosen = 24;  ///< links that a node chooses, at most; those that choose it come on top
  /// A candidate is kept unless a kept one is closer to it than its own distance less this share of it. (The heuristic
  /// of the paper, algorithm 4, has no slack; with a little, nodes have the degrees that recall needs.) For inner
  /// products, which are no distances, there is none.
  float slack = 0.03F;
};

/// Link the nodes of a level, given in the order of their clusters: each chooses among its candidates, and is linked
/// back by those it chose. Lists that grow too long are chosen from again.
/// @param progress  a step for each cluster
void link_layer(Graph& graph, std::size_t level, std::span<const NodeId> nodes, const Clusters& clusters,
                const LayerOptions& options, const Progress& progress);

}  // namespace revector::hnsw
