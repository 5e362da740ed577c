/// @file
/// A whole graph at once, at a fraction of the price of inserting node after node.
#pragma once

#include <cstdint>
#include <span>

#include "core/hnsw/graph.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// Fill an empty graph. Nodes are numbered cluster by cluster, so that neighbours lie close in memory.
/// @param labels  unique; vectors were checked
/// @param watch   of the caller, or null
/// @throws Cancelled, std::bad_alloc; the graph is to be thrown away then
void build_all(Graph& graph, MatrixView<const float> vectors, std::span<const std::int64_t> labels, BuildWatch* watch);

}  // namespace revector::hnsw
