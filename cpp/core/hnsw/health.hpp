/// @file
/// What a graph looks like from outside.
#pragma once

#include "core/hnsw/graph.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

HnswHealth examine(const Graph& graph);

}  // namespace revector::hnsw
