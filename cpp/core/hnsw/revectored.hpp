/// @file
/// An old graph under new vectors.
#pragma once

#include <cstdint>
#include <span>

#include "core/hnsw/graph.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// A graph with the nodes and links of another, and vectors of its own.
/// @param labels  the live ones of the old graph, in any order
/// @throws InvalidArgument if they are not
Graph revectored(const Graph& old, MatrixView<const float> vectors, std::span<const std::int64_t> labels);

}  // namespace revector::hnsw
