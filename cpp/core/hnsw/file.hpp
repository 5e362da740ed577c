/// @file
/// hnswlib's file format (saveIndex of 0.8), both ways, and that of faiss, to be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/file_reader.hpp"
#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// @param capacity  vectors that hnswlib will have room for when it opens the file; none: that of the file it came
/// from,
///                  and no less than what is there and a quarter, 10,000 at least
/// @throws InvalidArgument (a capacity below what is there), IoError
void save(const Graph& graph, const std::string& path, std::optional<std::size_t> capacity);
/// The same file as bytes.
std::string to_bytes(const Graph& graph);

/// @throws CorruptIndex, ShapeError (another dimension), InvalidArgument (vectors that the metric does not make),
///         UnsupportedIndex (another format, an id that is not one here), IoError
Graph load(FileReader& file, std::size_t dim, Metric metric, std::uint64_t seed);

/// @param metric  none: the file's
/// @throws CorruptIndex, InvalidArgument (a metric that the vectors were not linked by), UnsupportedIndex (a sound file
///         of something else), IoError
Graph load_faiss(const std::string& path, std::optional<Metric> metric, std::uint64_t seed);

}  // namespace revector::hnsw
