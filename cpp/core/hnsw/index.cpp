#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/checks.hpp"
#include "core/hnsw/arguments.hpp"
#include "core/hnsw/bulk/build_all.hpp"
#include "core/hnsw/exact.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/health.hpp"
#include "core/hnsw/prepared_queries.hpp"
#include "core/hnsw/revectored.hpp"
#include "core/hnsw/search.hpp"
#include "core/hnsw/shared_graph.hpp"
#include "core/hnsw/snapshot/write.hpp"
#include "core/hnsw/writer.hpp"
#include "core/packed_matrix.hpp"
#include "core/similarity/results.hpp"
#include "core/thread_pool.hpp"
#include "core/topk.hpp"
#include "revector/hnsw.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace revector {

using hnsw::Graph;
using hnsw::NodeId;

namespace {

constexpr std::size_t search_grain = 4;    // queries; one takes about 0.1 ms
constexpr std::size_t rotate_grain = 128;  // vectors; their old and new forms stay in the second cache

/// Candidates worth keeping: never more than there are nodes, however many are asked for.
std::size_t breadth(const Graph& graph, std::size_t ef) { return std::clamp<std::size_t>(ef, 1, graph.size() + 1); }

/// Of the labels allowed, those that live here.
hnsw::NodeSet nodes_allowed(const Graph& graph, std::span<const std::int64_t> labels) {
  hnsw::NodeSet nodes(graph.size());
  for (std::int64_t label : labels)
    if (const auto node = graph.find(label); node && !graph.is_deleted(*node)) nodes.insert(*node);
  return nodes;
}

}  // namespace

struct HnswIndex::Impl : hnsw::SharedGraph {
  using SharedGraph::SharedGraph;

  void mark(std::span<const std::int64_t> labels, bool deleted) {
    const std::scoped_lock only_writer(writer);
    const auto alone = gate.write();
    std::vector<NodeId> nodes;
    for (std::int64_t label : labels) nodes.push_back(hnsw::node_of(graph, label));
    for (NodeId node : nodes) graph.set_deleted(node, deleted);
  }

  /// Call find(i, scratch) for each of n queries, on the pool's threads.
  template <class Find>
  void for_each_query(std::size_t n, const Find& find) {
    parallel_for(n, search_grain, [&](std::size_t begin, std::size_t end) {
      const hnsw::ScratchPool::Lease scratch(scratches);
      for (std::size_t i = begin; i < end; ++i) find(i, *scratch);
    });
  }
};

HnswIndex::HnswIndex(std::size_t dim, Metric metric, HnswOptions options)
    : impl_(std::make_unique<Impl>(Graph(dim, metric, hnsw::checked(dim, options)))) {}
HnswIndex::HnswIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HnswIndex::~HnswIndex() = default;
HnswIndex::HnswIndex(HnswIndex&&) noexcept = default;
HnswIndex& HnswIndex::operator=(HnswIndex&&) noexcept = default;

void HnswIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
  hnsw::require_rows(vectors, dim(), metric(), "vectors");
  hnsw::require_labels(labels, vectors.rows());
  hnsw::add(*impl_, vectors, labels);
}

HnswIndex HnswIndex::build(MatrixView<const float> vectors, std::span<const std::int64_t> labels, Metric metric,
                           HnswOptions options, BuildWatch* watch) {
  HnswIndex index(vectors.cols(), metric, options);
  hnsw::require_rows(vectors, vectors.cols(), metric, "vectors");
  hnsw::require_labels(labels, vectors.rows());
  hnsw::require_unique(labels);
  hnsw::require_room(labels.size(), 0);
  const hnsw::Points points{
      vectors.rows(), vectors.cols(),
      [&, graph = &index.impl_->graph](std::size_t i, float* out) { graph->prepare(vectors.row(i), out); }};
  hnsw::build_all(index.impl_->graph, points, labels, watch);
  return index;
}

HnswIndex HnswIndex::rebuilt(BuildWatch* watch) const {
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  const Graph& graph = impl_->graph;
  HnswIndex index(dim(), metric(), options());
  std::vector<NodeId> live;
  std::vector<std::int64_t> labels;
  for (NodeId id = 0; id < graph.size(); ++id)
    if (!graph.is_deleted(id)) {
      live.push_back(id);
      labels.push_back(graph.label(id));
    }
  const hnsw::Points points{live.size(), dim(),
                            [&](std::size_t i, float* out) { std::copy_n(graph.vector(live[i]), graph.dim(), out); }};
  hnsw::build_all(index.impl_->graph, points, labels, watch);
  return index;
}

HnswIndex HnswIndex::serve_stale(MatrixView<const float> vectors, std::span<const std::int64_t> labels) const {
  hnsw::require_between("dim", vectors.cols(), 1, Graph::max_dim);
  hnsw::require_rows(vectors, vectors.cols(), metric(), "vectors");
  hnsw::require_labels(labels, vectors.rows());
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  return HnswIndex(std::make_unique<Impl>(hnsw::revectored(impl_->graph, vectors, labels)));
}

void HnswIndex::mark_deleted(std::span<const std::int64_t> labels) { impl_->mark(labels, true); }
void HnswIndex::unmark_deleted(std::span<const std::int64_t> labels) { impl_->mark(labels, false); }

void HnswIndex::search(MatrixView<const float> queries, std::size_t k, std::size_t ef, MatrixView<float> scores,
                       MatrixView<std::int64_t> labels, std::optional<std::span<const std::int64_t>> allowed) const {
  const Graph& graph = impl_->graph;
  hnsw::require_search(queries, dim(), metric(), k, scores, labels);
  const hnsw::PreparedQueries prepared(graph.metric(), queries);
  const auto shared = impl_->gate.read();
  std::optional<hnsw::NodeSet> nodes;
  if (allowed) nodes = nodes_allowed(graph, *allowed);
  const hnsw::Lookup how{breadth(graph, std::max(ef, k)), nodes ? &*nodes : nullptr, impl_->locks_to_read()};
  if (nodes && hnsw::is_scan_cheaper(nodes->size(), graph.size(), how.ef))
    return hnsw::search_exactly(graph, prepared.rows(), k, &*nodes, scores, labels);
  impl_->for_each_query(queries.rows(), [&](std::size_t i, hnsw::Scratch& scratch) {
    const auto found = hnsw::find_nearest(graph, prepared.rows().row(i), how, scratch);
    hnsw::write_best(graph, found, k, scores.row(i), labels.row(i));
  });
}

void HnswIndex::search_exact(MatrixView<const float> queries, std::size_t k, MatrixView<float> scores,
                             MatrixView<std::int64_t> labels,
                             std::optional<std::span<const std::int64_t>> allowed) const {
  hnsw::require_search(queries, dim(), metric(), k, scores, labels);
  const hnsw::PreparedQueries prepared(metric(), queries);
  const auto shared = impl_->gate.read();
  std::optional<hnsw::NodeSet> nodes;
  if (allowed) nodes = nodes_allowed(impl_->graph, *allowed);
  hnsw::search_exactly(impl_->graph, prepared.rows(), k, nodes ? &*nodes : nullptr, scores, labels);
}

RangeResults HnswIndex::range(MatrixView<const float> queries, float least_score, std::size_t ef,
                              std::optional<std::span<const std::int64_t>> allowed) const {
  const Graph& graph = impl_->graph;
  hnsw::require_rows(queries, dim(), metric(), "queries");
  if (std::isnan(least_score)) throw InvalidArgument("the least score is NaN, expected a number");
  if (ef == 0) throw InvalidArgument("ef is 0, expected at least 1");
  const hnsw::PreparedQueries prepared(graph.metric(), queries);
  const auto shared = impl_->gate.read();
  std::optional<hnsw::NodeSet> nodes;
  if (allowed) nodes = nodes_allowed(graph, *allowed);
  const hnsw::Lookup how{breadth(graph, ef), nodes ? &*nodes : nullptr, impl_->locks_to_read()};
  std::vector<std::vector<Scored>> found(queries.rows());
  impl_->for_each_query(queries.rows(), [&](std::size_t i, hnsw::Scratch& scratch) {
    for (const hnsw::Neighbor& one : hnsw::find_within(graph, prepared.rows().row(i), -least_score, how, scratch))
      found[i].push_back({-one.distance, graph.label(one.id)});
    std::sort(found[i].begin(), found[i].end(), better);
  });
  const std::vector<std::span<const Scored>> views(found.begin(), found.end());
  return range_results(views);
}

void HnswIndex::rotate(MatrixView<const float> rotation) {
  Graph& graph = impl_->graph;
  const std::size_t d = graph.dim();
  require_shape(rotation, d, d, "rotation");
  hnsw::require_orthogonal(rotation);
  const PackedMatrix packed = PackedMatrix::from_rows(rotation);
  const std::scoped_lock only_writer(impl_->writer);
  const auto alone = impl_->gate.write();
  parallel_for(graph.size(), rotate_grain, [&](std::size_t begin, std::size_t end) {
    const std::size_t n = end - begin;
    std::vector<float> before(n * d), after(n * d);
    for (std::size_t i = 0; i < n; ++i)
      std::copy_n(graph.vector(static_cast<NodeId>(begin + i)), d, before.data() + i * d);
    packed.multiply(MatrixView<const float>(before.data(), n, d), nullptr, MatrixView<float>(after.data(), n, d));
    for (std::size_t i = 0; i < n; ++i) graph.set_vector(static_cast<NodeId>(begin + i), after.data() + i * d);
  });
}

HnswHealth HnswIndex::health() const {
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  const Graph& graph = impl_->graph;
  return hnsw::examine(hnsw::PlainLinks(graph), graph.size(), graph.capacity(0),
                       [&](NodeId id) { return graph.is_deleted(id); });
}

void HnswIndex::get_vectors(std::span<const std::int64_t> labels, MatrixView<float> out) const {
  const Graph& graph = impl_->graph;
  require_shape(out, labels.size(), graph.dim(), "out");
  const auto lock = impl_->gate.read();
  for (std::size_t i = 0; i < labels.size(); ++i)
    std::copy_n(graph.vector(hnsw::live_node(graph, labels[i])), graph.dim(), out.row(i));
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

void HnswIndex::save(const std::string& path, std::optional<std::size_t> capacity) const {
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  hnsw::save(impl_->graph, path, capacity);
}

std::string HnswIndex::to_bytes() const {
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  return hnsw::to_bytes(impl_->graph);
}

void HnswIndex::save_snapshot(const std::string& path, const SnapshotOptions& options) const {
  const std::scoped_lock no_writer(impl_->writer);
  const auto shared = impl_->gate.read();
  hnsw::write_snapshot(impl_->graph, path, options);
}

HnswIndex HnswIndex::load(const std::string& path, std::size_t dim, Metric metric, std::uint64_t seed) {
  hnsw::require_between("dim", dim, 1, Graph::max_dim);
  FileReader file(path);
  return HnswIndex(std::make_unique<Impl>(hnsw::load(file, dim, metric, seed)));
}

HnswIndex HnswIndex::from_bytes(std::span<const char> bytes, std::size_t dim, Metric metric, std::uint64_t seed) {
  hnsw::require_between("dim", dim, 1, Graph::max_dim);
  FileReader file(bytes, "the bytes of an index");
  return HnswIndex(std::make_unique<Impl>(hnsw::load(file, dim, metric, seed)));
}

HnswIndex HnswIndex::load_faiss(const std::string& path, std::optional<Metric> metric, std::uint64_t seed) {
  return HnswIndex(std::make_unique<Impl>(hnsw::load_faiss(path, metric, seed)));
}

}  // namespace revector
