#include "revector/hnsw_snapshot.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/checks.hpp"
#include "core/hnsw/arguments.hpp"
#include "core/hnsw/exact.hpp"
#include "core/hnsw/health.hpp"
#include "core/hnsw/prepared_queries.hpp"
#include "core/hnsw/search.hpp"
#include "core/hnsw/snapshot/hidden.hpp"
#include "core/hnsw/snapshot/mapped_graph.hpp"
#include "core/kernels.hpp"
#include "core/thread_pool.hpp"
#include "core/topk.hpp"

namespace revector {

using hnsw::MappedGraph;
using hnsw::Neighbor;
using hnsw::NodeId;

namespace {

constexpr std::size_t search_grain = 4;  // queries; one takes about 0.1 ms
constexpr std::size_t exact_grain = 1;

/// Call use(distances) with the distances of a query to rows of a type.
template <class Use>
void with_distances(hnsw::StoredRows rows, ElementType type, Metric metric, const float* query, const Use& use) {
  const kernels::RowKernels& kernels = kernels::table().rows;
  const bool is_l2 = metric == Metric::l2;
  const float sign = is_l2 ? 1.0F : -1.0F;
  switch (type) {
    case ElementType::float32:
      return use(hnsw::FloatDistances<float>(rows, is_l2 ? kernels.squared_distance : kernels.dot, sign, query));
    case ElementType::float16:
      return use(hnsw::FloatDistances<std::uint16_t>(
          rows, is_l2 ? kernels.squared_distance_float16 : kernels.dot_float16, sign, query));
    case ElementType::bfloat16:
      return use(hnsw::FloatDistances<std::uint16_t>(
          rows, is_l2 ? kernels.squared_distance_bfloat16 : kernels.dot_bfloat16, sign, query));
    case ElementType::int8: {
      std::vector<std::int8_t> codes;
      return use(hnsw::Int8Distances(rows, metric, query, codes));
    }
  }
}

}  // namespace

struct HnswSnapshot::Impl {
  explicit Impl(const std::string& path)
      : file(std::make_shared<const MappedGraph>(path)),
        scratches(std::make_shared<hnsw::ScratchPool>()),
        hidden(*file) {}

  std::size_t n_live() const { return graph.size() - hidden.size(); }

  std::optional<NodeId> live_node(std::int64_t label) const {
    const auto node = graph.find(label);
    return node && !hidden.contains(*node) ? node : std::nullopt;
  }

  hnsw::NodeSet nodes_allowed(std::span<const std::int64_t> labels) const {
    hnsw::NodeSet nodes(graph.size());
    for (std::int64_t label : labels)
      if (const auto node = live_node(label)) nodes.insert(*node);
    return nodes;
  }

  /// The most exact vector of a node.
  void copy_vector(NodeId node, float* out) const {
    hnsw::widen(graph.has_exact() ? graph.exact_rows() : graph.rows(),
                graph.has_exact() ? ElementType::float32 : graph.type(), node, out);
  }

  /// Call use(distances) with distances by the most exact rows there are.
  template <class Use>
  void exactly(const float* query, const Use& use) const {
    if (graph.has_exact())
      with_distances(graph.exact_rows(), ElementType::float32, graph.metric(), query, use);
    else
      with_distances(graph.rows(), graph.type(), graph.metric(), query, use);
  }

  /// The candidates of a walk, in scratch.best.
  void walk(const float* query, std::size_t ef, const hnsw::NodeSet* allowed, hnsw::Scratch& scratch) const {
    scratch.begin(graph.size());
    if (n_live() == 0) return;
    with_distances(graph.rows(), graph.type(), graph.metric(), query, [&](const auto& distance_to) {
      const Neighbor start = hnsw::descend_to(distance_to, graph.entry(), 0, graph);
      const auto admitting = [&](const auto& admit) {
        hnsw::walk_level(distance_to, start, 0, hnsw::Beam(scratch.best, ef), scratch, graph, admit);
      };
      if (allowed != nullptr)
        admitting([&](NodeId id) { return allowed->contains(id); });
      else if (hidden.size() == 0)
        admitting([](NodeId) { return true; });
      else
        admitting([&](NodeId id) { return !hidden.contains(id); });
    });
  }

  /// Give candidates their true distances.
  void rescore(const float* query, std::vector<Neighbor>& found) const {
    if (!graph.has_exact()) return;
    exactly(query, [&](const auto& distance_to) {
      for (const Neighbor& one : found) distance_to.prefetch(one.id);
      for (Neighbor& one : found) one.distance = distance_to(one.id);
    });
  }

  void write(std::span<const Neighbor> found, std::size_t k, float* scores, std::int64_t* labels) const {
    TopK best(std::min(k, found.size()));
    for (const Neighbor& one : found) best.push({-one.distance, graph.label(one.id)});
    hnsw::write_slots(std::move(best), k, scores, labels);
  }

  /// Fill the slots of every query from all nodes that may be found.
  void scan(MatrixView<const float> queries, std::size_t k, const hnsw::NodeSet* allowed, MatrixView<float> scores,
            MatrixView<std::int64_t> labels) const {
    const std::size_t kept = std::min(k, allowed != nullptr ? allowed->size() : n_live());
    parallel_for(queries.rows(), exact_grain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        TopK best(kept);
        exactly(queries.row(i), [&](const auto& distance_to) {
          for (NodeId id = 0; kept > 0 && id < graph.size(); ++id)
            if (allowed != nullptr ? allowed->contains(id) : !hidden.contains(id))
              best.push({-distance_to(id), graph.label(id)});
        });
        hnsw::write_slots(std::move(best), k, scores.row(i), labels.row(i));
      }
    });
  }

  std::shared_ptr<const MappedGraph> file;
  std::shared_ptr<hnsw::ScratchPool> scratches;
  hnsw::Hidden hidden;
  const MappedGraph& graph = *file;
};

HnswSnapshot::HnswSnapshot(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
HnswSnapshot::HnswSnapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HnswSnapshot::~HnswSnapshot() = default;
HnswSnapshot::HnswSnapshot(HnswSnapshot&&) noexcept = default;
HnswSnapshot& HnswSnapshot::operator=(HnswSnapshot&&) noexcept = default;

void HnswSnapshot::verify() const { impl_->graph.verify(); }

HnswSnapshot HnswSnapshot::without(std::span<const std::int64_t> labels) const {
  auto view = std::make_unique<Impl>(*impl_);
  view->hidden.hide(labels);
  return HnswSnapshot(std::move(view));
}

void HnswSnapshot::search(MatrixView<const float> queries, std::size_t k, std::size_t ef, MatrixView<float> scores,
                          MatrixView<std::int64_t> labels, std::optional<std::span<const std::int64_t>> allowed) const {
  hnsw::require_search(queries, dim(), metric(), k, scores, labels);
  const hnsw::PreparedQueries prepared(metric(), queries);
  std::optional<hnsw::NodeSet> nodes;
  if (allowed) nodes = impl_->nodes_allowed(*allowed);
  const std::size_t breadth = std::clamp<std::size_t>(std::max(ef, k), 1, impl_->graph.size() + 1);
  const hnsw::NodeSet* among = nodes ? &*nodes : nullptr;
  if (hnsw::is_scan_cheaper(among != nullptr ? among->size() : size(), impl_->graph.size(), breadth))
    return impl_->scan(prepared.rows(), k, among, scores, labels);
  parallel_for(queries.rows(), search_grain, [&](std::size_t begin, std::size_t end) {
    const hnsw::ScratchPool::Lease scratch(*impl_->scratches);
    for (std::size_t i = begin; i < end; ++i) {
      const float* query = prepared.rows().row(i);
      impl_->walk(query, breadth, among, *scratch);
      impl_->rescore(query, scratch->best);
      impl_->write(scratch->best, k, scores.row(i), labels.row(i));
    }
  });
}

void HnswSnapshot::search_exact(MatrixView<const float> queries, std::size_t k, MatrixView<float> scores,
                                MatrixView<std::int64_t> labels,
                                std::optional<std::span<const std::int64_t>> allowed) const {
  hnsw::require_search(queries, dim(), metric(), k, scores, labels);
  std::optional<hnsw::NodeSet> nodes;
  if (allowed) nodes = impl_->nodes_allowed(*allowed);
  impl_->scan(hnsw::PreparedQueries(metric(), queries).rows(), k, nodes ? &*nodes : nullptr, scores, labels);
}

void HnswSnapshot::get_vectors(std::span<const std::int64_t> labels, MatrixView<float> out) const {
  require_shape(out, labels.size(), dim(), "out");
  std::vector<NodeId> nodes;
  for (std::int64_t label : labels) {
    const auto node = impl_->live_node(label);
    if (!node) throw LabelError(label, "is not in the snapshot, or deleted in it", true);
    nodes.push_back(*node);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) impl_->copy_vector(nodes[i], out.row(i));
}

std::size_t HnswSnapshot::find_vectors(std::span<const std::int64_t> labels, std::span<bool> found,
                                       MatrixView<float> out) const {
  require_shape(out, labels.size(), dim(), "out");
  require_equal(found.size(), labels.size(), "number of marks");
  std::size_t n = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto node = impl_->live_node(labels[i]);
    found[i] = node.has_value();
    if (node) impl_->copy_vector(*node, out.row(n++));
  }
  return n;
}

HnswHealth HnswSnapshot::health() const {
  const MappedGraph& graph = impl_->graph;
  return hnsw::examine(graph, graph.size(), 2 * graph.header().m,
                       [&](NodeId id) { return impl_->hidden.contains(id); });
}

std::vector<std::int64_t> HnswSnapshot::labels() const {
  const MappedGraph& graph = impl_->graph;
  std::vector<std::int64_t> live;
  live.reserve(size());
  for (NodeId id = 0; id < graph.size(); ++id)
    if (!impl_->hidden.contains(id)) live.push_back(graph.label(id));
  return live;
}

bool HnswSnapshot::contains(std::int64_t label) const { return impl_->live_node(label).has_value(); }

std::size_t HnswSnapshot::size() const { return impl_->n_live(); }
std::size_t HnswSnapshot::dim() const { return impl_->graph.dim(); }
Metric HnswSnapshot::metric() const { return impl_->graph.metric(); }
HnswOptions HnswSnapshot::options() const {
  const hnsw::SnapshotHeader& header = impl_->graph.header();
  return {header.m, header.ef_construction, header.seed};
}
SnapshotOptions HnswSnapshot::storage() const { return {impl_->graph.type(), impl_->graph.has_exact()}; }

}  // namespace revector
