#include "core/hnsw/health.hpp"

#include <algorithm>
#include <vector>

namespace revector::hnsw {
namespace {

/// Which nodes a walk along links of level 0 can come to.
std::vector<bool> reached_from_entry(const Graph& graph) {
  std::vector<bool> reached(graph.size());
  std::vector<NodeId> open{graph.entry.id};
  reached[graph.entry.id] = true;
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    for (NodeId link : graph.links(at, 0))
      if (!reached[link]) {
        reached[link] = true;
        open.push_back(link);
      }
  }
  return reached;
}

}  // namespace

HnswHealth examine(const Graph& graph) {
  HnswHealth health;
  health.live = graph.size() - graph.n_deleted();
  health.deleted = graph.n_deleted();
  health.degrees.resize(graph.capacity(0) + 1);
  if (graph.size() == 0) return health;
  health.levels = graph.entry.level + 1;
  const std::vector<bool> reached = reached_from_entry(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    ++health.degrees[graph.links(id, 0).size()];
    if (!reached[id] && !graph.is_deleted(id)) ++health.unreachable;
  }
  return health;
}

}  // namespace revector::hnsw
