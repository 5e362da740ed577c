/// @file
/// What a graph looks like from outside.
#pragma once

#include <cstddef>
#include <vector>

#include "core/hnsw/graph.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

/// Which of n nodes a walk along links of level 0 can come to.
/// @param links  as PlainLinks
template <class ReadLinks>
std::vector<bool> reached_from_entry(const ReadLinks& links, std::size_t n) {
  std::vector<bool> reached(n);
  std::vector<NodeId> open{links.entry().id};
  reached[open.back()] = true;
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    for (NodeId link : links(at, 0))
      if (!reached[link]) {
        reached[link] = true;
        open.push_back(link);
      }
  }
  return reached;
}

/// @param links       of n nodes, as PlainLinks
/// @param most_links  a list of level 0 holds
template <class ReadLinks, class IsDeleted>
HnswHealth examine(const ReadLinks& links, std::size_t n, std::size_t most_links, const IsDeleted& is_deleted) {
  HnswHealth health;
  health.degrees.resize(most_links + 1);
  if (n == 0) return health;
  health.levels = links.entry().level + 1;
  const std::vector<bool> reached = reached_from_entry(links, n);
  for (NodeId id = 0; id < n; ++id) {
    ++health.degrees[links(id, 0).size()];
    if (is_deleted(id)) {
      ++health.deleted;
      continue;
    }
    ++health.live;
    if (!reached[id]) ++health.unreachable;
  }
  return health;
}

}  // namespace revector::hnsw
