#include "core/hnsw/bulk/layer.hpp"

#include <algorithm>
#include <numeric>

#include "core/hnsw/search.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t nodes_a_piece = 256;

/// What each position chose, in rows of equal length.
class Choices {
 public:
  Choices(std::size_t n, std::size_t most) : most_(most), chosen_(n * most), counts_(n) {}

  std::size_t size() const { return counts_.size(); }
  std::span<const Neighbor> of(std::size_t i) const { return std::span(chosen_).subspan(i * most_, counts_[i]); }
  void set(std::size_t i, std::span<const Neighbor> chosen) {
    std::copy(chosen.begin(), chosen.end(), chosen_.begin() + static_cast<std::ptrdiff_t>(i * most_));
    counts_[i] = static_cast<std::uint32_t>(chosen.size());
  }

 private:
  std::size_t most_;
  std::vector<Neighbor> chosen_;
  std::vector<std::uint32_t> counts_;
};

/// Who chose a position, and at which distance.
struct Choosers {
  explicit Choosers(const Choices& choices) : begin(choices.size() + 1) {
    for (std::size_t i = 0; i < choices.size(); ++i)
      for (const Neighbor& one : choices.of(i)) ++begin[one.id + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    all.resize(begin.back());
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < choices.size(); ++i)
      for (const Neighbor& one : choices.of(i)) all[next[one.id]++] = {one.distance, static_cast<NodeId>(i)};
  }
  std::span<const Neighbor> of(std::size_t i) const {
    return std::span(all).subspan(begin[i], begin[i + 1] - begin[i]);
  }

  std::vector<std::size_t> begin;
  std::vector<Neighbor> all;
};

/// A level under construction: positions stand for nodes.
class Layer {
 public:
  Layer(Graph& graph, std::size_t level, std::span<const NodeId> nodes, const LayerOptions& options)
      : graph_(graph), level_(level), nodes_(nodes), options_(options) {}

  Choices choose(const Clusters& clusters, const Progress& progress) const {
    Choices choices(nodes_.size(), most_chosen());
    const CandidateSearch search(graph_, nodes_, clusters, options_.candidates);
    parallel_for(clusters.size(), 1, [&](std::size_t cluster, std::size_t) {
      progress.step();
      std::vector<Neighbor> candidates;
      search.visit(cluster, [&](std::size_t position, std::span<const Neighbor> near, std::span<const Neighbor> far) {
        candidates.assign(near.begin(), near.end());
        candidates.insert(candidates.end(), far.begin(), far.end());
        measure(position, candidates);
        choices.set(position, spread(candidates, most_chosen()));
      });
    });
    return choices;
  }

  void link(const Choices& choices) {
    const Choosers choosers(choices);
    const std::size_t most = graph_.capacity(level_);
    parallel_for(nodes_.size(), nodes_a_piece, [&](std::size_t begin, std::size_t end) {
      std::vector<Neighbor> links;
      std::vector<NodeId> ids;
      for (std::size_t i = begin; i < end; ++i) {
        links.assign(choices.of(i).begin(), choices.of(i).end());
        links.insert(links.end(), choosers.of(i).begin(), choosers.of(i).end());
        sort_unique(links);
        if (links.size() > most) links = spread(links, most);
        ids.clear();
        for (const Neighbor& link : links) ids.push_back(nodes_[link.id]);
        graph_.set_links(nodes_[i], level_, ids);
      }
    });
  }

 private:
  std::size_t most_chosen() const { return std::min(options_.chosen, graph_.capacity(level_)); }
  const float* row(std::size_t position) const { return graph_.vector(nodes_[position]); }

  static void sort_unique(std::vector<Neighbor>& found) {
    std::sort(found.begin(), found.end(), closer);
    found.erase(
        std::unique(found.begin(), found.end(), [](const Neighbor& a, const Neighbor& b) { return a.id == b.id; }),
        found.end());
  }

  /// Replace approximate distances by true ones, each candidate once, closest first.
  void measure(std::size_t position, std::vector<Neighbor>& candidates) const {
    std::sort(candidates.begin(), candidates.end(), [](const Neighbor& a, const Neighbor& b) { return a.id < b.id; });
    candidates.erase(std::unique(candidates.begin(), candidates.end(),
                                 [](const Neighbor& a, const Neighbor& b) { return a.id == b.id; }),
                     candidates.end());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (i + 2 < candidates.size()) prefetch_row(row(candidates[i + 2].id));
      candidates[i].distance = graph_.distance()(row(position), row(candidates[i].id));
    }
    std::sort(candidates.begin(), candidates.end(), closer);
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
  layer.link(layer.choose(clusters, progress));
}

}  // namespace revector::hnsw
