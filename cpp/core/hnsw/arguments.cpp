#include "core/hnsw/arguments.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/checks.hpp"
#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr float orthogonal_within = 1e-4F;
constexpr std::size_t rows_a_piece = 2048;  // that are looked at, at the rate of the memory

}  // namespace

void require_between(const char* name, std::size_t value, std::size_t least, std::size_t most) {
  if (value < least || value > most)
    throw InvalidArgument(std::string(name) + " is " + std::to_string(value) + ", expected " + std::to_string(least) +
                          " to " + std::to_string(most));
}

HnswOptions checked(std::size_t dim, HnswOptions options) {
  require_between("dim", dim, 1, Graph::max_dim);
  require_between("m", options.m, 2, Graph::max_m);
  require_between("ef_construction", options.ef_construction, 1, Graph::max_nodes);
  options.ef_construction = std::max(options.ef_construction, options.m);
  return options;
}

void require_rows(MatrixView<const float> x, std::size_t dim, Metric metric, const char* name) {
  require_equal(x.cols(), dim, std::string("columns of ") + name);
  parallel_for(x.rows(), rows_a_piece, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (is_measurable(x.row(i), dim)) continue;
      if (!finite_row(x.row(i), dim)) throw_not_finite(name, i);
      if (metric == Metric::cosine) continue;
      throw NumericalError(std::string(name) + ": the squared length of row " + std::to_string(i) +
                           " overflows float32; scale the vectors down, or use the metric cosine");
    }
  });
}

void require_search(MatrixView<const float> queries, std::size_t dim, Metric metric, std::size_t k,
                    MatrixView<float> scores, MatrixView<std::int64_t> labels) {
  require_rows(queries, dim, metric, "queries");
  require_between("k", k, 1, Graph::max_nodes);
  require_shape(scores, queries.rows(), k, "scores");
  require_shape(labels, queries.rows(), k, "labels");
}

void require_labels(std::span<const std::int64_t> labels, std::size_t n_vectors) {
  require_equal(labels.size(), n_vectors, "number of labels");
  for (std::int64_t label : labels)
    if (label < 0) throw LabelError(label, "is negative, expected 0 or more");
}

void require_unique(std::span<const std::int64_t> labels) {
  std::vector<std::int64_t> sorted(labels.begin(), labels.end());
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    throw LabelError(*twice, "occurs twice, expected each once; add() takes the last of several");
}

void require_room(std::size_t added, std::size_t size) {
  if (added > Graph::max_nodes - size)
    throw InvalidArgument("the index would hold more than " + std::to_string(Graph::max_nodes) + " nodes");
}

void require_orthogonal(MatrixView<const float> w) {
  const std::size_t n = w.rows();
  std::vector<float> gram(n * n);
  PackedMatrix::from_transposed(w).multiply(w, nullptr, {gram.data(), n, n});
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const float error = std::abs(gram[i * n + j] - (i == j ? 1.0F : 0.0F));
      if (!(error <= orthogonal_within))
        throw InvalidArgument("rotation is not orthogonal: element " + std::to_string(i) + ", " + std::to_string(j) +
                              " of W W^T is off by " + std::to_string(error) + ", expected at most 1e-4");
    }
}

NodeId node_of(const Graph& graph, std::int64_t label) {
  if (const auto node = graph.find(label)) return *node;
  throw LabelError(label, "is not in the index", true);
}

NodeId live_node(const Graph& graph, std::int64_t label) {
  const NodeId node = node_of(graph, label);
  if (graph.is_deleted(node)) throw LabelError(label, "is deleted; unmark_deleted() or add() it");
  return node;
}

}  // namespace revector::hnsw
