/// @file
/// A whole graph at once, at a fraction of the price of inserting node after node.
#pragma once

#include <cstdint>
#include <span>

#include "core/hnsw/bulk/clusters.hpp"
#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Fill an empty graph. Nodes are numbered cluster by cluster, so that neighbours lie close in memory.
/// @param points  checked, as the metric wants them
/// @param labels  unique
/// @param watch   of the caller, or null
/// @throws Cancelled, std::bad_alloc; the graph is to be thrown away then
void build_all(Graph& graph, const Points& points, std::span<const std::int64_t> labels, BuildWatch* watch);
/// The same, of vectors that the graph has room for and that were written where its first nodes will be. They are moved
/// there, not copied.
void build_in_place(Graph& graph, std::span<const std::int64_t> labels, BuildWatch* watch);

}  // namespace revector::hnsw
