/// @file
/// Writing our own index files.
#pragma once

#include <string>

#include "core/hnsw/graph.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace revector::hnsw {

/// @throws IoError; NumericalError, InvalidArgument (vectors that the type cannot hold): no file has changed then
void write_snapshot(const Graph& graph, const std::string& path, const SnapshotOptions& options);

}  // namespace revector::hnsw
