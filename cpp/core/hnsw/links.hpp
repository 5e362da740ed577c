/// @file
/// Reading link lists, alone or beside somebody who writes them.
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <vector>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Locks of what changes while nodes are being linked: the lists and the entry point. A node's lists share a lock with
/// those of other nodes: never hold two.
class NodeLocks {
 public:
  std::mutex& of(NodeId id) { return locks_[id % locks_.size()]; }
  std::mutex& entry() { return entry_; }

 private:
  std::array<std::mutex, 4096> locks_;
  std::mutex entry_;
};

/// Reads lists that nobody is writing.
class PlainLinks {
 public:
  explicit PlainLinks(const Graph& graph) : graph_(graph) {}
  Entry entry() const { return graph_.entry; }
  std::span<const NodeId> operator()(NodeId id, std::size_t level) const { return graph_.links(id, level); }
  [[gnu::always_inline]] void prefetch(NodeId id, std::size_t level) const { graph_.prefetch_links(id, level); }

 private:
  const Graph& graph_;
};

/// Reads a list through a copy, so that the lock is not held while distances are computed.
class LockedLinks {
 public:
  /// @param copy  holds the list read last
  LockedLinks(const Graph& graph, NodeLocks& locks, std::vector<NodeId>& copy)
      : graph_(graph), locks_(locks), copy_(copy) {}
  Entry entry() const {
    const std::scoped_lock lock(locks_.entry());
    return graph_.entry;
  }
  std::span<const NodeId> operator()(NodeId id, std::size_t level) const {
    const std::scoped_lock lock(locks_.of(id));
    const auto links = graph_.links(id, level);
    copy_.assign(links.begin(), links.end());
    return copy_;
  }
  [[gnu::always_inline]] void prefetch(NodeId id, std::size_t level) const { graph_.prefetch_links(id, level); }

 private:
  const Graph& graph_;
  NodeLocks& locks_;
  std::vector<NodeId>& copy_;
};

}  // namespace revector::hnsw
