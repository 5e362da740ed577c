#include "core/hnsw/revectored.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/hnsw/arguments.hpp"
#include "core/thread_pool.hpp"
#include "revector/errors.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t rows_a_piece = 256;

/// The row that each node takes its vector from.
std::vector<std::size_t> rows_of_nodes(const Graph& old, std::span<const std::int64_t> labels) {
  const std::size_t live = old.size() - old.n_deleted();
  if (labels.size() != live)
    throw InvalidArgument("there are " + std::to_string(labels.size()) + " vectors for " + std::to_string(live) +
                          " live ones, expected one for each; build() takes any number");
  std::vector<std::size_t> rows(old.size(), labels.size());
  parallel_for(labels.size(), rows_a_piece, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) rows[live_node(old, labels[row])] = row;
  });
  return rows;
}

/// A deleted node has no new vector, but still leads on: it stands where a neighbour stands.
std::size_t row_of_neighbor(const Graph& old, NodeId id, std::span<const std::size_t> rows, std::size_t none) {
  const auto links = old.links(id, 0);
  const auto live = std::find_if(links.begin(), links.end(), [&](NodeId link) { return !old.is_deleted(link); });
  return live == links.end() ? none : rows[*live];
}

}  // namespace

Graph revectored(const Graph& old, MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
  require_unique(labels);
  const std::vector<std::size_t> rows = rows_of_nodes(old, labels);
  Graph graph(vectors.cols(), old.metric(), old.options());
  graph.reserve(old.size());
  for (NodeId id = 0; id < old.size(); ++id) graph.append(old.label(id), old.level(id));
  graph.entry = old.entry;
  parallel_for(old.size(), rows_a_piece, [&](std::size_t begin, std::size_t end) {
    for (NodeId id = static_cast<NodeId>(begin); id < end; ++id) {
      for (std::size_t level = 0; level <= old.level(id); ++level) graph.set_links(id, level, old.links(id, level));
      const std::size_t row = old.is_deleted(id) ? row_of_neighbor(old, id, rows, vectors.rows()) : rows[id];
      if (row < vectors.rows())
        graph.set_vector(id, vectors.row(row));
      else
        graph.write_vector(id, [&](float* out) { std::fill_n(out, graph.dim(), 0.0F); });
    }
  });
  for (NodeId id = 0; id < old.size(); ++id) graph.set_deleted(id, old.is_deleted(id));
  return graph;
}

}  // namespace revector::hnsw
