#include "core/hnsw/bulk/layer.hpp"

#include <algorithm>
#include <numeric>

#include "core/hnsw/search.hpp"
#include "core/thread_pool.hpp"
#include "revector/device.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t nodes_a_piece = 256;

/// Who chose a position.
struct Choosers {
  /// @param choices  what position i of n chose
  template <class Choices>
  Choosers(std::size_t n, const Choices& choices) : begin(n + 1) {
    for (std::size_t i = 0; i < n; ++i)
      for (NodeId one : choices(i)) ++begin[one + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    all.resize(begin.back());
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < n; ++i)
      for (NodeId one : choices(i)) all[next[one]++] = static_cast<NodeId>(i);
  }
  std::span<const NodeId> of(std::size_t i) const { return std::span(all).subspan(begin[i], begin[i + 1] - begin[i]); }

  std::vector<std::size_t> begin;
  std::vector<NodeId> all;
};

/// A level under construction: positions stand for nodes. Until link() the lists of the graph hold the positions that
/// each has chosen, without their distances: measuring those again costs a fiftieth of a build, keeping them, and the
/// choices beside the graph, a sixth of an index.
class Layer {
 public:
  Layer(Graph& graph, std::size_t level, std::span<const NodeId> nodes, const LayerOptions& options)
      : graph_(graph), level_(level), nodes_(nodes), options_(options) {}

  void choose(const Clusters& clusters, const Progress& progress) {
    const CandidateSearch search(graph_, nodes_, clusters, options_.candidates);
    parallel_for(clusters.size(), 1, [&](std::size_t cluster, std::size_t) {
      progress.step();
      std::vector<NodeId> candidates, chosen;
      search.visit(cluster, [&](std::size_t position, std::span<const Ranked> near, std::span<const Ranked> far) {
        candidates.clear();
        for (const auto& some : {near, far})
          for (Ranked one : some) candidates.push_back(id_of(one));
        chosen.clear();
        for (const Neighbor& one : spread(measured(position, candidates), most_chosen())) chosen.push_back(one.id);
        graph_.set_links(nodes_[position], level_, chosen);
      });
    });
  }

  void link() {
    const Choosers choosers(nodes_.size(), [&](std::size_t i) { return choice(i); });
    const std::size_t most = graph_.capacity(level_);
    parallel_for(nodes_.size(), nodes_a_piece, [&](std::size_t begin, std::size_t end) {
      std::vector<NodeId> ids;
      for (std::size_t i = begin; i < end; ++i) {
        ids.clear();
        for (const auto& some : {choice(i), choosers.of(i)}) ids.insert(ids.end(), some.begin(), some.end());
        std::vector<Neighbor> links = measured(i, ids);
        if (links.size() > most) links = spread(links, most);
        ids.clear();
        for (const Neighbor& link : links) ids.push_back(nodes_[link.id]);
        graph_.set_links(nodes_[i], level_, ids);
      }
    });
  }

 private:
  std::size_t most_chosen() const { return std::min(options_.chosen, graph_.capacity(level_)); }
  std::span<const NodeId> choice(std::size_t position) const { return graph_.links(nodes_[position], level_); }
  const float* row(std::size_t position) const { return graph_.vector(nodes_[position]); }

  /// Candidates at their true distances, each once, closest first.
  std::vector<Neighbor> measured(std::size_t position, std::span<const NodeId> candidates) const {
    std::vector<Ranked> all(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (i + 2 < candidates.size()) prefetch_row(row(candidates[i + 2]));
      all[i] = ranked(graph_.distance()(row(position), row(candidates[i])), candidates[i]);
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::vector<Neighbor> neighbors(all.size());
    std::transform(all.begin(), all.end(), neighbors.begin(),
                   [](Ranked one) { return Neighbor{distance_of(one), id_of(one)}; });
    return neighbors;
  }

  /// The bar that a kept neighbour must not be under; see LayerOptions::slack.
  float bar(float distance) const {
    switch (graph_.metric()) {
      case Metric::cosine:
        return distance - options_.slack * (1 + distance);
      case Metric::l2:
        return distance - options_.slack * distance;
      default:
        return distance;
    }
  }

  std::vector<Neighbor> spread(std::span<const Neighbor> candidates, std::size_t n) const {
    std::vector<Neighbor> kept;
    std::vector<const float*> judges;  // the rows kept; who refused last comes first, being near what comes next
    kept.reserve(n);
    judges.reserve(n);
    for (const Neighbor& candidate : candidates) {
      const float least = bar(candidate.distance);
      const float* vector = row(candidate.id);
      const auto judge = std::find_if(judges.begin(), judges.end(),
                                      [&](const float* other) { return graph_.distance()(vector, other) < least; });
      if (judge != judges.end()) {
        std::rotate(judges.begin(), judge, judge + 1);
        continue;
      }
      kept.push_back(candidate);
      judges.push_back(vector);
      if (kept.size() == n) break;
    }
    if (graph_.metric() == Metric::inner_product) fill(kept, candidates, std::min(n, graph_.options().m));
    return kept;
  }

  /// Add the closest ones that were refused. By inner product a long row is close to all others and would be the only
  /// link of many.
  static void fill(std::vector<Neighbor>& kept, std::span<const Neighbor> candidates, std::size_t n) {
    const std::size_t spread_out = kept.size();
    for (std::size_t i = 0, next = 0; i < candidates.size() && kept.size() < n; ++i)
      if (next < spread_out && kept[next].id == candidates[i].id)
        ++next;
      else
        kept.push_back(candidates[i]);
  }

  Graph& graph_;
  std::size_t level_;
  std::span<const NodeId> nodes_;
  const LayerOptions& options_;
};

}  // namespace

void link_layer(Graph& graph, std::size_t level, std::span<const NodeId> nodes, const Clusters& clusters,
                const LayerOptions& options, const Progress& progress) {
  Layer layer(graph, level, nodes, options);
  layer.choose(clusters, progress);
  return_freed_memory();
  layer.link();
}

}  // namespace revector::hnsw
