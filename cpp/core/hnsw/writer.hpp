/// @file
/// Adding and replacing vectors beside searches.
#pragma once

#include <cstdint>
#include <span>

#include "core/hnsw/shared_graph.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// HnswIndex::add() after its checks.
void add(SharedGraph& shared, MatrixView<const float> vectors, std::span<const std::int64_t> labels);

}  // namespace revector::hnsw
