#include "core/hnsw/bulk/build_all.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/hnsw/bulk/clusters.hpp"
#include "core/hnsw/bulk/layer.hpp"
#include "core/hnsw/bulk/reach.hpp"
#include "core/hnsw/bulk/twins.hpp"
#include "core/thread_pool.hpp"
#include "revector/device.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t rows_a_piece = 256;
constexpr std::size_t members = 192;  // of a cluster: fewer make more centroids, more are scored in vain
constexpr std::size_t sampling = 8;
constexpr float slack = 0.05F;

/// What is spent on a level. Numbers were chosen on half of the queries of WordNet's definitions and on clustered
/// vectors, and judged on the other half and on Debian's descriptions (benchmarks/bench_hnsw.py).
struct Plan {
  ClusterOptions clusters;
  LayerOptions layer;

  Plan(const HnswOptions& options, std::size_t level, std::size_t n) {
    // Probes grow with log n, as do the hops of a search and the cost of an insertion.
    const auto probes = static_cast<std::size_t>(1.6 * std::log2(static_cast<double>(std::max<std::size_t>(n, 2)))) + 1;
    clusters = {members, probes, probes * 8 / 3, options.seed};
    const std::size_t breadth =
        std::min(options.ef_construction, 3 * n / 2);  // no list is longer than there are points
    layer.candidates.near = std::max(breadth * 17 / 25, options.m + 1);
    layer.candidates.far = breadth * 8 / 25;
    layer.candidates.sampling = sampling;
    layer.chosen = level == 0 ? options.m * 3 / 2 : options.m * 3 / 4;
    layer.slack = slack;
  }
};

/// The points of a level, one of each kind in clusters.
struct Arrangement {
  Arrangement(const Points& points, Metric metric, const ClusterOptions& options)
      : twins(points),
        clusters(cluster(
            {twins.kinds(), points.dim, [&](std::size_t kind, float* out) { points.read(twins.first(kind), out); }},
            metric, options)) {}

  /// All points, cluster by cluster, twins side by side.
  std::vector<std::uint32_t> order() const {
    std::vector<std::uint32_t> all;
    for (std::uint32_t kind : clusters.order)
      for (std::uint32_t point : twins.of(kind)) all.push_back(point);
    return all;
  }

  Twins twins;
  Clusters clusters;  // their points are kinds
};

void copy_vectors(Graph& graph, const Points& points, std::span<const std::uint32_t> order) {
  parallel_for(order.size(), rows_a_piece, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      graph.write_vector(static_cast<NodeId>(i), [&](float* out) { points.read(order[i], out); });
  });
}

std::vector<NodeId> nodes_of_level(const Graph& graph, std::size_t level) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < graph.size(); ++id)
    if (graph.level(id) >= level) nodes.push_back(id);
  return nodes;
}

Entry highest(const Graph& graph) {
  Entry entry{0, graph.level(0)};
  for (NodeId id = 1; id < graph.size(); ++id)
    if (graph.level(id) > entry.level) entry = {id, graph.level(id)};
  return entry;
}

/// @param node_of  node of each point of the level
void link_level(Graph& graph, std::size_t level, const Arrangement& points, std::span<const NodeId> node_of,
                const LayerOptions& options, const Progress& progress) {
  std::vector<NodeId> nodes(points.clusters.order.size());
  std::transform(points.clusters.order.begin(), points.clusters.order.end(), nodes.begin(),
                 [&](std::uint32_t kind) { return node_of[points.twins.first(kind)]; });
  link_layer(graph, level, nodes, points.clusters, options, progress);
  for (std::size_t kind = 0; kind < points.twins.kinds(); ++kind) {
    nodes.clear();
    for (std::uint32_t point : points.twins.of(kind)) nodes.push_back(node_of[point]);
    link_twins(graph, level, nodes);
  }
  make_reachable(graph, level, node_of);
}

void link_upper(Graph& graph, std::size_t level) {
  const std::vector<NodeId> nodes = nodes_of_level(graph, level);
  const Points points{nodes.size(), graph.dim(),
                      [&](std::size_t i, float* out) { std::copy_n(graph.vector(nodes[i]), graph.dim(), out); }};
  const Plan plan(graph.options(), level, points.size);
  link_level(graph, level, {points, graph.metric(), plan.clusters}, nodes, plan.layer, Progress());
}

/// @param place  gives nodes the vectors of the points in an order
template <class Place>
void build(Graph& graph, const Points& points, std::span<const std::int64_t> labels, BuildWatch* watch,
           const Place& place) {
  if (labels.empty()) return;
  const Plan plan(graph.options(), 0, points.size);
  const Arrangement arranged(points, graph.metric(), plan.clusters);
  return_freed_memory();
  const std::vector<std::uint32_t> order = arranged.order();
  graph.reserve(order.size());
  for (std::uint32_t row : order) graph.append(labels[row], graph.draw_level(static_cast<NodeId>(graph.size())));
  place(order);
  graph.entry = highest(graph);
  std::vector<NodeId> node_of(points.size);
  for (std::size_t node = 0; node < order.size(); ++node) node_of[order[node]] = static_cast<NodeId>(node);
  link_level(graph, 0, arranged, node_of, plan.layer, Progress(watch, arranged.clusters.size()));
  for (std::size_t level = 1; level <= graph.entry.level; ++level) link_upper(graph, level);
  return_freed_memory();
}

}  // namespace

void build_all(Graph& graph, const Points& points, std::span<const std::int64_t> labels, BuildWatch* watch) {
  build(graph, points, labels, watch,
        [&](std::span<const std::uint32_t> order) { copy_vectors(graph, points, order); });
}

void build_in_place(Graph& graph, std::span<const std::int64_t> labels, BuildWatch* watch) {
  const Points points{labels.size(), graph.dim(), [&](std::size_t i, float* out) {
                        std::copy_n(graph.vector(static_cast<NodeId>(i)), graph.dim(), out);
                      }};
  build(graph, points, labels, watch, [&](std::span<const std::uint32_t> order) { graph.permute_vectors(order); });
}

}  // namespace revector::hnsw
