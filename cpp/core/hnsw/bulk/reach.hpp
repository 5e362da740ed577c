/// @file
/// Making sure that a search can reach every node.
#pragma once

#include <cstddef>
#include <span>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Make every one of the nodes reachable from the entry point by links of the level. A tree of links proves it: one
/// that is not reached becomes a child of a node near it, in a free place or in that of a link outside the tree. There
/// always is one, as a leaf of the tree has no children. Links to other levels' nodes must not exist.
/// @return how many had to be linked
std::size_t make_reachable(Graph& graph, std::size_t level, std::span<const NodeId> nodes);

}  // namespace revector::hnsw
