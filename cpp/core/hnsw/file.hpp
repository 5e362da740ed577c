/// @file
/// hnswlib's file format (saveIndex of 0.8), both ways.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// @throws IoError
void save(const Graph& graph, const std::string& path);

/// @throws CorruptIndex, ShapeError (another dimension), IoError
Graph load(const std::string& path, std::size_t dim, Metric metric, std::uint64_t seed);

}  // namespace revector::hnsw
