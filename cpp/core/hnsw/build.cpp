#include "core/hnsw/build.hpp"

#include <algorithm>

namespace revector::hnsw {
namespace {

std::vector<NodeId> ids_of(std::span<const Neighbor> neighbors) {
  std::vector<NodeId> ids(neighbors.size());
  std::transform(neighbors.begin(), neighbors.end(), ids.begin(), [](const Neighbor& n) { return n.id; });
  return ids;
}

bool contains(std::span<const NodeId> links, NodeId id) {
  return std::find(links.begin(), links.end(), id) != links.end();
}

}  // namespace

std::vector<Neighbor> select_diverse(const Graph& graph, std::span<const Neighbor> candidates, std::size_t n) {
  if (candidates.size() < n) return {candidates.begin(), candidates.end()};
  std::vector<Neighbor> kept;
  kept.reserve(n);
  for (const Neighbor& candidate : candidates) {
    const float* vector = graph.vector(candidate.id);
    const bool diverse = std::all_of(kept.begin(), kept.end(), [&](const Neighbor& other) {
      return graph.distance()(vector, graph.vector(other.id)) >= candidate.distance;
    });
    if (diverse) kept.push_back(candidate);
    if (kept.size() == n) break;
  }
  return kept;
}

Builder::Builder(Graph& graph, NodeLocks& locks, ScratchPool& scratches)
    : graph_(graph), locks_(locks), scratches_(scratches) {}

Entry Builder::read_entry() {
  const std::scoped_lock lock(locks_.entry());
  return graph_.entry;
}

void Builder::raise_entry(NodeId id) {
  const std::scoped_lock lock(locks_.entry());
  if (graph_.level(id) > graph_.entry.level) graph_.entry = {id, graph_.level(id)};
}

void Builder::insert(NodeId id) {
  const Entry entry = read_entry();
  const auto chosen = choose_links(id, entry, std::min(graph_.level(id), entry.level));
  // From the bottom up: whoever meets the node on a level finds it linked on all levels below.
  for (std::size_t level = 0; level < chosen.size(); ++level) connect(id, level, chosen[level]);
  raise_entry(id);
}

void Builder::repair(NodeId id) {
  for (std::size_t level = 0; level <= graph_.level(id); ++level) rechoose_neighbors(id, level);
  const auto chosen = choose_links(id, read_entry(), graph_.level(id));
  for (std::size_t level = 0; level < chosen.size(); ++level)
    if (!chosen[level].empty()) connect(id, level, chosen[level]);
}

std::vector<std::vector<Neighbor>> Builder::choose_links(NodeId id, Entry entry, std::size_t top) {
  const GraphDistances distance_to(graph_, graph_.vector(id));
  const ScratchPool::Lease scratch(scratches_);
  const LockedLinks read(graph_, locks_, scratch->links);
  std::vector<std::vector<Neighbor>> chosen(top + 1);
  Neighbor start = descend_to(distance_to, entry, top, read);
  for (std::size_t level = top + 1; level-- > 0;) {
    std::vector<Neighbor>& best = scratch->best;
    scratch->begin(graph_.size());
    walk_level(distance_to, start, level, Beam(best, graph_.options().ef_construction), *scratch, read,
               [id](NodeId found) { return found != id; });  // a node being repaired meets itself
    std::sort_heap(best.begin(), best.end(), closer);
    if (!best.empty()) start = best.front();
    chosen[level] = select_diverse(graph_, best, graph_.options().m);
  }
  return chosen;
}

void Builder::connect(NodeId id, std::size_t level, std::span<const Neighbor> chosen) {
  const std::vector<NodeId> ids = ids_of(chosen);
  {
    const std::scoped_lock lock(locks_.of(id));
    graph_.set_links(id, level, ids);
  }
  for (const Neighbor& neighbor : chosen) link_back(neighbor.id, level, {neighbor.distance, id});
}

void Builder::link_back(NodeId from, std::size_t level, Neighbor to) {
  const std::scoped_lock lock(locks_.of(from));
  const auto links = graph_.links(from, level);
  if (contains(links, to.id)) return;
  if (links.size() < graph_.capacity(level)) return graph_.push_link(from, level, to.id);
  std::vector<Neighbor> candidates{to};
  for (NodeId link : links) candidates.push_back({graph_.distance()(graph_.vector(from), graph_.vector(link)), link});
  std::sort(candidates.begin(), candidates.end(), closer);
  graph_.set_links(from, level, ids_of(select_diverse(graph_, candidates, graph_.capacity(level))));
}

std::vector<NodeId> Builder::copy_links(NodeId id, std::size_t level) {
  std::vector<NodeId> links;
  LockedLinks(graph_, locks_, links)(id, level);
  return links;
}

void Builder::rechoose_neighbors(NodeId id, std::size_t level) {
  const std::vector<NodeId> neighbors = copy_links(id, level);
  std::vector<NodeId> around{id};
  for (NodeId neighbor : neighbors) {
    around.push_back(neighbor);
    for (NodeId second : copy_links(neighbor, level)) around.push_back(second);
  }
  std::sort(around.begin(), around.end());
  around.erase(std::unique(around.begin(), around.end()), around.end());
  std::vector<Neighbor> candidates;
  for (NodeId neighbor : neighbors) {
    candidates.clear();
    for (NodeId other : around)
      if (other != neighbor)
        candidates.push_back({graph_.distance()(graph_.vector(neighbor), graph_.vector(other)), other});
    const std::size_t kept = std::min(candidates.size(), graph_.options().ef_construction);
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(kept), candidates.end(),
                      closer);
    const auto chosen = select_diverse(graph_, std::span(candidates).first(kept), graph_.capacity(level));
    const std::scoped_lock lock(locks_.of(neighbor));
    graph_.set_links(neighbor, level, ids_of(chosen));
  }
}

}  // namespace revector::hnsw
