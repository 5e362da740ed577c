/// @file
/// Answers that look at every node: the truth, and the faster way where few nodes may be found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/hnsw/graph.hpp"
#include "core/hnsw/search.hpp"
#include "core/topk.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// Whether measuring every allowed node costs less than walking past all the others.
bool is_scan_cheaper(std::size_t allowed, std::size_t all, std::size_t ef);

/// Fill the k slots of every query, best first, from all live nodes, or from those allowed. On the pool's threads.
/// @param queries  as the metric wants them
void search_exactly(const Graph& graph, MatrixView<const float> queries, std::size_t k, const NodeSet* allowed,
                    MatrixView<float> scores, MatrixView<std::int64_t> labels);

/// Fill the k slots of one query, best first, and what is left with label -1 and score -infinity.
void write_slots(TopK best, std::size_t k, float* scores, std::int64_t* labels);

/// Fill the k slots of one query with the best of what was found; ties by lower label.
void write_best(const Graph& graph, std::span<const Neighbor> found, std::size_t k, float* scores,
                std::int64_t* labels);

}  // namespace revector::hnsw
