/// @file
/// What an index asks of its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/hnsw/graph.hpp"
#include "revector/hnsw.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// @throws InvalidArgument naming the value and the range
void require_between(const char* name, std::size_t value, std::size_t least, std::size_t most);

/// The options, with an ef_construction that m allows. @throws InvalidArgument
HnswOptions checked(std::size_t dim, HnswOptions options);

/// What a metric asks of vectors and queries: cosine scales them, so any finite row will do; the others need a length.
/// @throws ShapeError, NumericalError
void require_rows(MatrixView<const float> x, std::size_t dim, Metric metric, const char* name);

/// What a search for k neighbours asks of its arguments.
/// @throws ShapeError, InvalidArgument (k is 0, or more than an index can hold), NumericalError
void require_search(MatrixView<const float> queries, std::size_t dim, Metric metric, std::size_t k,
                    MatrixView<float> scores, MatrixView<std::int64_t> labels);

/// @throws ShapeError (another number than the vectors'), LabelError (negative)
void require_labels(std::span<const std::int64_t> labels, std::size_t n_vectors);
/// @throws LabelError naming one that occurs twice
void require_unique(std::span<const std::int64_t> labels);
/// @throws InvalidArgument if nodes could not be numbered
void require_room(std::size_t added, std::size_t size);
/// @throws InvalidArgument unless W W^T is the identity
void require_orthogonal(MatrixView<const float> w);

/// @throws LabelError
NodeId node_of(const Graph& graph, std::int64_t label);
/// The node of a label that may be shown. @throws LabelError
NodeId live_node(const Graph& graph, std::int64_t label);

}  // namespace revector::hnsw
