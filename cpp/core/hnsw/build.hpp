/// @file
/// Insertion of nodes one by one, by several threads.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/hnsw/graph.hpp"
#include "core/hnsw/links.hpp"
#include "core/hnsw/search.hpp"

namespace revector::hnsw {

/// Links nodes into a graph. insert() and repair() may run in several threads at once, on different nodes, beside
/// searches through LockedLinks: vectors, labels and levels stay as they are meanwhile; only links and the entry point
/// change.
///
/// Deleted nodes are linked like live ones: links to them keep the graph connected however many there are, and they
/// are still good when a deleted node comes back.
class Builder {
 public:
  Builder(Graph& graph, NodeLocks& locks, ScratchPool& scratches);

  /// Link a node that no list mentions yet; its vector is in place.
  /// @throws std::bad_alloc (some lists may then lead to the node)
  void insert(NodeId id);
  /// Link a node anew whose vector has changed, as hnswlib's updatePoint: the neighbours it had choose among each other
  /// and their neighbours, then the node is linked as if it were new.
  /// @throws std::bad_alloc (the graph is valid, the node may still have old links)
  void repair(NodeId id);

 private:
  Entry read_entry();
  void raise_entry(NodeId id);
  /// Find links for the levels up to `top`, lowest level first.
  std::vector<std::vector<Neighbor>> choose_links(NodeId id, Entry entry, std::size_t top);
  void connect(NodeId id, std::size_t level, std::span<const Neighbor> chosen);
  void link_back(NodeId from, std::size_t level, Neighbor to);
  std::vector<NodeId> copy_links(NodeId id, std::size_t level);
  void rechoose_neighbors(NodeId id, std::size_t level);

  Graph& graph_;
  NodeLocks& locks_;
  ScratchPool& scratches_;
};

/// The heuristic of the paper (algorithm 4): of candidates sorted closest first, keep at most n of those that are
/// closer to the base than to any kept before; so links lead in different directions. Fewer than n candidates are all
/// kept.
std::vector<Neighbor> select_diverse(const Graph& graph, std::span<const Neighbor> candidates, std::size_t n);

}  // namespace revector::hnsw
