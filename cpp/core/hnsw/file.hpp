/// @file
/// hnswlib's file format (saveIndex of 0.8), both ways, and that of faiss, to be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// @throws IoError
void save(const Graph& graph, const std::string& path);

/// @throws CorruptIndex, ShapeError (another dimension), IoError
Graph load(const std::string& path, std::size_t dim, Metric metric, std::uint64_t seed);

/// @param metric  none: the file's
/// @throws CorruptIndex, InvalidArgument (a metric that the vectors were not linked by), IoError
Graph load_faiss(const std::string& path, std::optional<Metric> metric, std::uint64_t seed);

}  // namespace revector::hnsw
