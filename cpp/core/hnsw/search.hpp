/// @file
/// Walking the graph: the greedy descent and the beam of one level, shared by searching and building.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Order of a heap whose front is the closest.
inline constexpr auto farther = [](const Neighbor& a, const Neighbor& b) { return closer(b, a); };

/// What one walk needs, kept from walk to walk.
class Scratch {
 public:
  std::vector<Neighbor> frontier;  ///< heap, closest in front: found, not yet expanded
  std::vector<Neighbor> best;      ///< heap, farthest in front: the candidates kept
  std::vector<NodeId> fresh;       ///< neighbours of the node being expanded that were not seen before
  std::vector<NodeId> links;       ///< copy of a list that others may be writing
  std::vector<float> query;        ///< the query at unit length

  /// Forget which nodes were seen, in constant time but for every 65,535th call.
  void begin(std::size_t n_nodes) {
    if (seen_.size() < n_nodes) seen_.resize(n_nodes + n_nodes / 2);
    if (++walk_ == 0) {
      std::fill(seen_.begin(), seen_.end(), std::uint16_t{0});
      walk_ = 1;
    }
    frontier.clear();
    best.clear();
  }
  /// Whether the node is seen for the first time in this walk.
  bool see(NodeId id) {
    if (seen_[id] == walk_) return false;
    seen_[id] = walk_;
    return true;
  }

 private:
  std::vector<std::uint16_t> seen_;  // number of the last walk that saw the node
  std::uint16_t walk_ = 0;
};

/// Scratches that threads borrow.
class ScratchPool {
 public:
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.put(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch& operator*() const { return *scratch_; }
    Scratch* operator->() const { return scratch_.get(); }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

 private:
  std::unique_ptr<Scratch> take();
  void put(std::unique_ptr<Scratch> scratch) noexcept;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> idle_;  // guarded by mutex_; has room for every scratch ever made
  std::size_t made_ = 0;                        // guarded by mutex_
};

/// Reads lists that nobody is writing.
class PlainLinks {
 public:
  explicit PlainLinks(const Graph& graph) : graph_(graph) {}
  std::span<const NodeId> operator()(NodeId id, std::size_t level) const { return graph_.links(id, level); }

 private:
  const Graph& graph_;
};

/// The start of the rows, for the memory to fetch while other distances are computed; the rest follows in sequence,
/// which the hardware foresees.
inline void prefetch_row(const float* row) {
  constexpr std::size_t floats_per_line = 16;
  for (std::size_t line = 0; line < 4; ++line) __builtin_prefetch(row + line * floats_per_line);
}

/// Step to the closest neighbour until none is closer.
template <class ReadLinks>
Neighbor descend(const Graph& graph, const float* query, Neighbor at, std::size_t level, const ReadLinks& read) {
  for (bool moved = true; moved;) {
    moved = false;
    const auto links = read(at.id, level);
    for (NodeId link : links) prefetch_row(graph.vector(link));
    for (NodeId link : links) {
      const float distance = graph.distance()(query, graph.vector(link));
      if (distance >= at.distance) continue;
      at = {distance, link};
      moved = true;
    }
  }
  return at;
}

/// Descend from the entry point to the level given, exclusive.
template <class ReadLinks>
Neighbor descend_to(const Graph& graph, const float* query, Entry entry, std::size_t level, const ReadLinks& read) {
  Neighbor at{graph.distance()(query, graph.vector(entry.id)), entry.id};
  for (std::size_t upper = entry.level; upper > level; --upper) at = descend(graph, query, at, upper, read);
  return at;
}

inline void push_best(std::vector<Neighbor>& best, std::size_t ef, Neighbor found) {
  best.push_back(found);
  std::push_heap(best.begin(), best.end(), closer);
  if (best.size() <= ef) return;
  std::pop_heap(best.begin(), best.end(), closer);
  best.pop_back();
}

/// Beam search of one level: fills scratch.best with the (at most) ef closest nodes that were met and that `admit`
/// takes. Nodes that it does not take lead on like all others.
template <class ReadLinks, class Admit>
void search_level(const Graph& graph, const float* query, Neighbor start, std::size_t level, std::size_t ef,
                  Scratch& scratch, const ReadLinks& read, const Admit& admit) {
  std::vector<Neighbor>&frontier = scratch.frontier, &best = scratch.best;
  scratch.begin(graph.size());
  scratch.see(start.id);
  frontier.push_back(start);
  if (admit(start.id)) best.push_back(start);
  while (!frontier.empty()) {
    const Neighbor nearest = frontier.front();
    if (best.size() >= ef && nearest.distance > best.front().distance) return;
    std::pop_heap(frontier.begin(), frontier.end(), farther);
    frontier.pop_back();
    scratch.fresh.clear();
    for (NodeId link : read(nearest.id, level))
      if (scratch.see(link)) {
        prefetch_row(graph.vector(link));
        scratch.fresh.push_back(link);
      }
    for (NodeId id : scratch.fresh) {
      const Neighbor found{graph.distance()(query, graph.vector(id)), id};
      if (best.size() >= ef && found.distance >= best.front().distance) continue;
      frontier.push_back(found);
      std::push_heap(frontier.begin(), frontier.end(), farther);
      if (admit(id)) push_best(best, ef, found);
    }
  }
}

/// Answer one query: fills the k slots of scores and labels.
/// @param query  dim floats; of unit length for cosine
void search_one(const Graph& graph, const float* query, std::size_t k, std::size_t ef, Scratch& scratch, float* scores,
                std::int64_t* labels);

}  // namespace revector::hnsw
