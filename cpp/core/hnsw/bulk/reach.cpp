#include "core/hnsw/bulk/reach.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/hnsw/search.hpp"

namespace revector::hnsw {
namespace {

constexpr NodeId unreached = UINT32_MAX;

/// Nodes that are reached, each with the one that leads to it.
class Tree {
 public:
  Tree(Graph& graph, std::size_t level) : graph_(graph), level_(level), parent_(graph.size(), unreached) {
    grow(graph.entry.id, graph.entry.id);
  }

  bool reaches(NodeId id) const { return parent_[id] != unreached; }

  /// Link a node that is not reached, and with it all that it leads to.
  void adopt(NodeId id) {
    const NodeId parent = with_room(nearest(id), id);
    grow(id, parent);
  }

 private:
  void grow(NodeId root, NodeId parent) {
    parent_[root] = parent;
    for (std::vector<NodeId> open{root}; !open.empty();) {
      const NodeId from = open.back();
      open.pop_back();
      for (NodeId link : graph_.links(from, level_))
        if (!reaches(link)) {
          parent_[link] = from;
          open.push_back(link);
        }
    }
  }

  /// A reached node near one that is not: of those it links to the closest, else where a descent ends.
  NodeId nearest(NodeId id) const {
    const float* vector = graph_.vector(id);
    std::optional<Neighbor> best;
    for (NodeId link : graph_.links(id, level_)) {
      const Neighbor found{graph_.distance()(vector, graph_.vector(link)), link};
      if (reaches(link) && (!best || closer(found, *best))) best = found;
    }
    if (best) return best->id;
    const NodeId entry = graph_.entry.id;
    const GraphDistances distance_to(graph_, vector);
    return descend(distance_to, {distance_to(entry), entry}, level_, PlainLinks(graph_)).id;
  }

  /// Link `id` from this node, or from one further down the tree that has a place left.
  NodeId with_room(NodeId at, NodeId id) {
    for (;;) {
      std::vector<NodeId> links(graph_.links(at, level_).begin(), graph_.links(at, level_).end());
      if (links.size() < graph_.capacity(level_)) {
        graph_.push_link(at, level_, id);
        return at;
      }
      // Links are sorted closest first: the last one that leads to no child is given up.
      const auto spare = std::find_if(links.rbegin(), links.rend(), [&](NodeId link) { return parent_[link] != at; });
      if (spare != links.rend()) {
        *spare = id;
        graph_.set_links(at, level_, links);
        return at;
      }
      at = links.front();
    }
  }

  Graph& graph_;
  std::size_t level_;
  std::vector<NodeId> parent_;
};

}  // namespace

std::size_t make_reachable(Graph& graph, std::size_t level, std::span<const NodeId> nodes) {
  Tree tree(graph, level);
  std::size_t adopted = 0;
  for (NodeId id : nodes)
    if (!tree.reaches(id)) {
      tree.adopt(id);
      ++adopted;
    }
  return adopted;
}

}  // namespace revector::hnsw
