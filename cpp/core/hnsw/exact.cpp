#include "core/hnsw/exact.hpp"

#include <algorithm>
#include <limits>
#include <mutex>
#include <vector>

#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t nodes_a_piece = 2048;
constexpr std::size_t queries_a_block = 64;  // they stay in the second cache while the nodes pass by
constexpr std::size_t new_nodes_a_hop = 8;   // that a walk measures, about

std::vector<NodeId> candidates(const Graph& graph, const NodeSet* allowed) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < graph.size(); ++id)
    if (allowed != nullptr ? allowed->contains(id) : !graph.is_deleted(id)) nodes.push_back(id);
  return nodes;
}

}  // namespace

void write_slots(TopK best, std::size_t k, float* scores, std::int64_t* labels) {
  const std::vector<Scored> results = best.take();
  std::fill_n(scores, k, -std::numeric_limits<float>::infinity());
  std::fill_n(labels, k, std::int64_t{-1});
  for (const Scored& result : results) {
    *scores++ = result.score;
    *labels++ = result.index;
  }
}

bool is_scan_cheaper(std::size_t allowed, std::size_t all, std::size_t ef) {
  // Until ef of them are found, a walk passes ef / share hops, with share = allowed / all.
  const auto few = static_cast<double>(allowed);
  return few * few <= static_cast<double>(new_nodes_a_hop * ef) * static_cast<double>(all);
}

void write_best(const Graph& graph, std::span<const Neighbor> found, std::size_t k, float* scores,
                std::int64_t* labels) {
  TopK best(std::min(k, found.size()));
  for (const Neighbor& one : found) best.push({-one.distance, graph.label(one.id)});
  write_slots(std::move(best), k, scores, labels);
}

void search_exactly(const Graph& graph, MatrixView<const float> queries, std::size_t k, const NodeSet* allowed,
                    MatrixView<float> scores, MatrixView<std::int64_t> labels) {
  const std::vector<NodeId> nodes = candidates(graph, allowed);
  const std::size_t kept = std::min(k, nodes.size());
  for (std::size_t first = 0; first < queries.rows(); first += queries_a_block) {
    const std::size_t n = std::min(queries_a_block, queries.rows() - first);
    std::vector<TopK> best(n, TopK(kept));
    std::mutex merging;
    parallel_for(nodes.size(), nodes_a_piece, [&](std::size_t begin, std::size_t end) {
      std::vector<TopK> here(n, TopK(std::min(kept, end - begin)));
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t q = 0; q < n; ++q) {
          const float score = -graph.distance()(queries.row(first + q), graph.vector(nodes[i]));
          if (score >= here[q].threshold()) here[q].push({score, graph.label(nodes[i])});
        }
      const std::scoped_lock lock(merging);
      for (std::size_t q = 0; q < n; ++q)
        for (const Scored& one : here[q].take()) best[q].push(one);
    });
    for (std::size_t q = 0; q < n; ++q)
      write_slots(std::move(best[q]), k, scores.row(first + q), labels.row(first + q));
  }
}

}  // namespace revector::hnsw
