#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "core/checks.hpp"
#include "core/hnsw/build.hpp"
#include "core/hnsw/bulk/build_all.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/gate.hpp"
#include "core/hnsw/graph.hpp"
#include "core/hnsw/search.hpp"
#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"
#include "kernels/dispatch.hpp"
#include "revector/hnsw.hpp"

namespace revector {

using hnsw::Graph;
using hnsw::NodeId;

namespace {

constexpr std::size_t serial_nodes = 256;      // threads that start in an empty graph would not see each other's nodes
constexpr std::size_t insert_grain = 8;        // rows; one takes about 0.1 to 1 ms
constexpr std::size_t search_grain = 4;        // queries; one takes about 0.1 ms
constexpr std::size_t repairs_at_a_time = 64;  // see replace()
constexpr std::size_t rotate_grain = 128;      // vectors; their old and new forms stay in the second cache
constexpr float orthogonal_within = 1e-4F;

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

/// What a metric asks of vectors and queries: cosine scales them, so any finite row will do; the others need a length.
void require_rows(MatrixView<const float> x, std::size_t dim, Metric metric, const char* name) {
  require_equal(x.cols(), dim, std::string("columns of ") + name);
  for (std::size_t i = 0; i < x.rows(); ++i) {
    if (hnsw::is_measurable(x.row(i), dim)) continue;
    if (!finite_row(x.row(i), dim)) throw_not_finite(name, i);
    if (metric == Metric::cosine) continue;
    throw NumericalError(std::string(name) + ": the squared length of row " + std::to_string(i) +
                         " overflows float32; scale the vectors down, or use the metric cosine");
  }
}

/// @throws InvalidArgument unless W W^T is the identity
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

std::string described(std::int64_t label) { return "label " + std::to_string(label); }

/// A row of add() and the node it goes to.
struct Placement {
  std::size_t row;
  NodeId node;
};

}  // namespace

struct HnswIndex::Impl {
  explicit Impl(Graph loaded) : graph(std::move(loaded)) {}

  Graph graph;
  hnsw::NodeLocks locks;
  hnsw::ScratchPool scratches;
  hnsw::Gate gate;

  /// @throws InvalidArgument
  NodeId node_of(std::int64_t label) const {
    if (const auto node = graph.find(label)) return *node;
    throw InvalidArgument(described(label) + " is not in the index; labels() lists what is");
  }
  /// The node of a label that may be shown. @throws InvalidArgument
  NodeId live_node(std::int64_t label) const {
    const NodeId node = node_of(label);
    if (graph.is_deleted(node)) throw InvalidArgument(described(label) + " is deleted; unmark_deleted() or add() it");
    return node;
  }

  void mark(std::span<const std::int64_t> labels, bool deleted) {
    const auto lock = gate.write();
    std::vector<NodeId> nodes;
    for (std::int64_t label : labels) nodes.push_back(node_of(label));
    for (NodeId node : nodes) graph.set_deleted(node, deleted);
  }

  /// Append nodes for the labels that are new and list which rows replace the vectors of others.
  std::vector<Placement> append_new(MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
    const std::size_t old_size = graph.size();
    std::vector<Placement> replaced;
    for (std::size_t row = 0; row < labels.size(); ++row) {
      auto node = graph.find(labels[row]);
      if (!node) node = graph.append(labels[row], graph.draw_level(static_cast<NodeId>(graph.size())));
      if (*node >= old_size)
        graph.set_vector(*node, vectors.row(row));
      else
        replaced.push_back({row, *node});
    }
    return replaced;
  }

  void link_new(hnsw::Builder& builder, std::size_t begin) {
    const std::size_t end = graph.size();
    if (begin == 0 && end > 0) graph.entry = {0, graph.level(0)};
    std::size_t next = std::max<std::size_t>(begin, 1);
    for (; next < std::min(end, serial_nodes); ++next) builder.insert(static_cast<NodeId>(next));
    if (next >= end) return;
    parallel_for(end - next, insert_grain, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) builder.insert(static_cast<NodeId>(next + i));
    });
  }

  /// Exchange vectors some at a time and repair the graph in between: with all vectors exchanged at once, the first
  /// repairs would look for neighbours by links that no longer mean anything.
  void replace(hnsw::Builder& builder, MatrixView<const float> vectors, std::span<const Placement> replaced) {
    while (!replaced.empty()) {
      const auto some = replaced.first(std::min(replaced.size(), repairs_at_a_time));
      for (const Placement& one : some) {
        graph.set_vector(one.node, vectors.row(one.row));
        graph.set_deleted(one.node, false);
      }
      parallel_for(some.size(), 1, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) builder.repair(some[i].node);
      });
      replaced = replaced.subspan(some.size());
    }
  }
};

namespace {

/// Of several rows for one node, the last; in the order of rows.
std::vector<Placement> last_for_each_node(std::vector<Placement> placements) {
  std::sort(placements.begin(), placements.end(),
            [](const Placement& a, const Placement& b) { return std::tie(a.node, a.row) < std::tie(b.node, b.row); });
  std::vector<Placement> last;
  for (std::size_t i = 0; i < placements.size(); ++i)
    if (i + 1 == placements.size() || placements[i + 1].node != placements[i].node) last.push_back(placements[i]);
  std::sort(last.begin(), last.end(), [](const Placement& a, const Placement& b) { return a.row < b.row; });
  return last;
}

void require_labels(std::span<const std::int64_t> labels) {
  for (std::int64_t label : labels)
    if (label < 0) throw InvalidArgument(described(label) + " is negative, expected 0 or more");
}

void require_unique(std::span<const std::int64_t> labels) {
  std::vector<std::int64_t> sorted(labels.begin(), labels.end());
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    throw InvalidArgument(described(*twice) +
                          " occurs twice, expected each label once; add() takes the last of several");
}

void require_room(std::size_t added, std::size_t size) {
  if (added > Graph::max_nodes - size)
    throw InvalidArgument("the index would hold more than " + std::to_string(Graph::max_nodes) + " nodes");
}

}  // namespace

HnswIndex::HnswIndex(std::size_t dim, Metric metric, HnswOptions options)
    : impl_(std::make_unique<Impl>(Graph(dim, metric, checked(dim, options)))) {}
HnswIndex::HnswIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HnswIndex::~HnswIndex() = default;
HnswIndex::HnswIndex(HnswIndex&&) noexcept = default;
HnswIndex& HnswIndex::operator=(HnswIndex&&) noexcept = default;

void HnswIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
  Graph& graph = impl_->graph;
  require_rows(vectors, graph.dim(), graph.metric(), "vectors");
  require_equal(labels.size(), vectors.rows(), "number of labels");
  require_labels(labels);
  const auto lock = impl_->gate.write();
  const std::size_t old_size = graph.size();
  const hnsw::Entry old_entry = graph.entry;
  require_room(labels.size(), old_size);
  hnsw::Builder builder(graph, impl_->locks, impl_->scratches);
  std::vector<Placement> replaced;
  try {
    replaced = last_for_each_node(impl_->append_new(vectors, labels));
    impl_->link_new(builder, old_size);
    impl_->replace(builder, vectors, replaced);
  } catch (...) {
    graph.truncate(old_size);
    graph.entry = old_entry;
    throw;
  }
}

HnswIndex HnswIndex::build(MatrixView<const float> vectors, std::span<const std::int64_t> labels, Metric metric,
                           HnswOptions options, BuildWatch* watch) {
  HnswIndex index(vectors.cols(), metric, options);
  require_rows(vectors, vectors.cols(), metric, "vectors");
  require_equal(labels.size(), vectors.rows(), "number of labels");
  require_labels(labels);
  require_unique(labels);
  require_room(labels.size(), 0);
  hnsw::build_all(index.impl_->graph, vectors, labels, watch);
  return index;
}

void HnswIndex::mark_deleted(std::span<const std::int64_t> labels) { impl_->mark(labels, true); }
void HnswIndex::unmark_deleted(std::span<const std::int64_t> labels) { impl_->mark(labels, false); }

void HnswIndex::search(MatrixView<const float> queries, std::size_t k, std::size_t ef, MatrixView<float> scores,
                       MatrixView<std::int64_t> labels) const {
  const Graph& graph = impl_->graph;
  require_rows(queries, graph.dim(), graph.metric(), "queries");
  if (k == 0) throw InvalidArgument("k is 0, expected at least 1");
  require_shape(scores, queries.rows(), k, "scores");
  require_shape(labels, queries.rows(), k, "labels");
  const auto lock = impl_->gate.read();
  parallel_for(queries.rows(), search_grain, [&](std::size_t begin, std::size_t end) {
    const hnsw::ScratchPool::Lease scratch(impl_->scratches);
    for (std::size_t i = begin; i < end; ++i) {
      const float* query = queries.row(i);
      if (graph.metric() == Metric::cosine) {
        scratch->query.resize(graph.dim());
        graph.prepare(query, scratch->query.data());
        query = scratch->query.data();
      }
      hnsw::search_one(graph, query, k, std::max(ef, k), *scratch, scores.row(i), labels.row(i));
    }
  });
}

void HnswIndex::rotate(MatrixView<const float> rotation) {
  Graph& graph = impl_->graph;
  const std::size_t d = graph.dim();
  require_shape(rotation, d, d, "rotation");
  require_orthogonal(rotation);
  const PackedMatrix packed = PackedMatrix::from_rows(rotation);
  const auto lock = impl_->gate.write();
  parallel_for(graph.size(), rotate_grain, [&](std::size_t begin, std::size_t end) {
    const std::size_t n = end - begin;
    std::vector<float> before(n * d), after(n * d);
    for (std::size_t i = 0; i < n; ++i)
      std::copy_n(graph.vector(static_cast<NodeId>(begin + i)), d, before.data() + i * d);
    packed.multiply(MatrixView<const float>(before.data(), n, d), nullptr, MatrixView<float>(after.data(), n, d));
    for (std::size_t i = 0; i < n; ++i) graph.set_vector(static_cast<NodeId>(begin + i), after.data() + i * d);
  });
}

void HnswIndex::get_vectors(std::span<const std::int64_t> labels, MatrixView<float> out) const {
  const Graph& graph = impl_->graph;
  require_shape(out, labels.size(), graph.dim(), "out");
  const auto lock = impl_->gate.read();
  for (std::size_t i = 0; i < labels.size(); ++i)
    std::copy_n(graph.vector(impl_->live_node(labels[i])), graph.dim(), out.row(i));
}

std::vector<std::int64_t> HnswIndex::labels() const {
  const auto lock = impl_->gate.read();
  std::vector<std::int64_t> live;
  live.reserve(impl_->graph.size() - impl_->graph.n_deleted());
  for (std::size_t id = 0; id < impl_->graph.size(); ++id)
    if (!impl_->graph.is_deleted(static_cast<NodeId>(id))) live.push_back(impl_->graph.label(static_cast<NodeId>(id)));
  return live;
}

bool HnswIndex::contains(std::int64_t label) const {
  const auto lock = impl_->gate.read();
  const auto node = impl_->graph.find(label);
  return node && !impl_->graph.is_deleted(*node);
}

std::size_t HnswIndex::size() const {
  const auto lock = impl_->gate.read();
  return impl_->graph.size() - impl_->graph.n_deleted();
}

std::size_t HnswIndex::dim() const { return impl_->graph.dim(); }
Metric HnswIndex::metric() const { return impl_->graph.metric(); }
HnswOptions HnswIndex::options() const { return impl_->graph.options(); }

void HnswIndex::save(const std::string& path) const {
  const auto lock = impl_->gate.read();
  hnsw::save(impl_->graph, path);
}

HnswIndex HnswIndex::load(const std::string& path, std::size_t dim, Metric metric, std::uint64_t seed) {
  require_between("dim", dim, 1, Graph::max_dim);
  return HnswIndex(std::make_unique<Impl>(hnsw::load(path, dim, metric, seed)));
}

}  // namespace revector
