/// @file
/// Walking the graph: the greedy descent and the beam of one level, shared by searching and building.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/hnsw/graph.hpp"
#include "core/hnsw/links.hpp"
#include "core/prefetch.hpp"

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

/// The start of a row, for the memory to fetch while other distances are computed; the rest follows in sequence, which
/// the hardware foresees.
[[gnu::always_inline]] inline void prefetch_row(const void* row) { revector::prefetch(row, 256); }

/// Distances from a query to the nodes of a graph: what a walk asks for. Whoever has other vectors to walk over gives
/// it another such type; its distances are never NaN.
class GraphDistances {
 public:
  /// @param query  as the metric wants it
  GraphDistances(const Graph& graph, const float* query) : graph_(graph), query_(query), coarse_(graph.coarse()) {
    if (coarse_ != nullptr) coarse_query_ = CoarseQuery(graph.metric(), query, graph.dim());
  }
  float operator()(NodeId id) const { return graph_.distance()(query_, graph_.vector(id)); }
  /// What is read of a node first.
  [[gnu::always_inline]] void prefetch(NodeId id) const {
    if (coarse_ != nullptr)
      prefetch_row(coarse_->row(id));
    else
      prefetch_row(graph_.vector(id));
  }
  /// Whether the distance is at least the bound for certain; most are known to be, and need not be measured.
  bool excludes(NodeId id, float bound) const {
    return coarse_ != nullptr && bound < std::numeric_limits<float>::infinity() &&
           coarse_query_.least_distance(coarse_->row(id)) >= bound;
  }

 private:
  const Graph& graph_;
  const float* query_;
  const CoarseRows* coarse_;  // null: none
  CoarseQuery coarse_query_;
};

/// Step to the closest neighbour until none is closer.
template <class Distances, class ReadLinks>
Neighbor descend(const Distances& distance_to, Neighbor at, std::size_t level, const ReadLinks& read) {
  for (bool moved = true; moved;) {
    moved = false;
    const auto links = read(at.id, level);
    for (NodeId link : links) distance_to.prefetch(link);
    for (NodeId link : links) {
      if (distance_to.excludes(link, at.distance)) continue;
      const float distance = distance_to(link);
      if (distance >= at.distance) continue;
      at = {distance, link};
      moved = true;
    }
  }
  return at;
}

/// Descend from an entry point to the level given, exclusive.
template <class Distances, class ReadLinks>
Neighbor descend_to(const Distances& distance_to, Entry entry, std::size_t level, const ReadLinks& read) {
  Neighbor at{distance_to(entry.id), entry.id};
  for (std::size_t upper = entry.level; upper > level; --upper) at = descend(distance_to, at, upper, read);
  return at;
}

/// Collects the ef closest nodes.
class Beam {
 public:
  /// @param best  empty; becomes a heap, farthest in front
  Beam(std::vector<Neighbor>& best, std::size_t ef) : best_(best), ef_(ef) {}

  /// Nodes at this distance, or farther away, are of no use any more.
  float bound() const { return best_.size() < ef_ ? std::numeric_limits<float>::infinity() : best_.front().distance; }
  void take(Neighbor found) {
    best_.push_back(found);
    std::push_heap(best_.begin(), best_.end(), closer);
    if (best_.size() <= ef_) return;
    std::pop_heap(best_.begin(), best_.end(), closer);
    best_.pop_back();
  }

 private:
  std::vector<Neighbor>& best_;
  std::size_t ef_;
};

/// Collects all nodes within a radius. A beam finds the way there, and from one to the next.
class Ball {
 public:
  Ball(std::vector<Neighbor>& inside, float radius, Beam beam)
      : inside_(inside),
        radius_(radius),
        beyond_(std::nextafter(radius, std::numeric_limits<float>::infinity())),
        beam_(beam) {}

  float bound() const { return std::max(beam_.bound(), beyond_); }
  void take(Neighbor found) {
    if (found.distance <= radius_) inside_.push_back(found);
    if (found.distance < beam_.bound()) beam_.take(found);
  }

 private:
  std::vector<Neighbor>& inside_;
  float radius_, beyond_;
  Beam beam_;
};

/// Walk one level from a node on, always from the closest node found, while any is closer than the bound of what is
/// collected. Nodes that `admit` does not take are not collected, but lead on like all others.
template <class Distances, class ReadLinks, class Collect, class Admit>
void walk_level(const Distances& distance_to, Neighbor start, std::size_t level, Collect collect, Scratch& scratch,
                const ReadLinks& read, const Admit& admit) {
  std::vector<Neighbor>& frontier = scratch.frontier;
  scratch.see(start.id);
  frontier.push_back(start);
  if (admit(start.id)) collect.take(start);
  while (!frontier.empty()) {
    const Neighbor nearest = frontier.front();
    if (nearest.distance > collect.bound()) return;
    std::pop_heap(frontier.begin(), frontier.end(), farther);
    frontier.pop_back();
    if (!frontier.empty()) read.prefetch(frontier.front().id, level);  // likely to be next
    scratch.fresh.clear();
    for (NodeId link : read(nearest.id, level))
      if (scratch.see(link)) {
        distance_to.prefetch(link);
        scratch.fresh.push_back(link);
      }
    for (NodeId id : scratch.fresh) {
      if (distance_to.excludes(id, collect.bound())) continue;
      const Neighbor found{distance_to(id), id};
      if (found.distance >= collect.bound()) continue;
      frontier.push_back(found);
      std::push_heap(frontier.begin(), frontier.end(), farther);
      if (admit(id)) collect.take(found);
    }
  }
}

/// Which nodes a search may return.
class NodeSet {
 public:
  /// None of n nodes.
  explicit NodeSet(std::size_t n) : in_(n) {}
  void insert(NodeId id) {
    size_ += in_[id] == 0 ? 1 : 0;
    in_[id] = 1;
  }
  bool contains(NodeId id) const { return in_[id] != 0; }
  std::size_t size() const { return size_; }

 private:
  std::vector<std::uint8_t> in_;
  std::size_t size_ = 0;
};

/// How to look for the neighbours of a query.
struct Lookup {
  std::size_t ef;
  const NodeSet* allowed = nullptr;  ///< live nodes that may be found; null: all live nodes
  NodeLocks* locks = nullptr;        ///< while somebody links nodes
};

/// The ef nearest nodes of a query, in no order; valid until the scratch is used again.
/// @param query  dim floats; of unit length for cosine
std::span<const Neighbor> find_nearest(const Graph& graph, const float* query, const Lookup& how, Scratch& scratch);

/// All nodes that were found within a radius, in no order. What a beam of ef nodes cannot see is missed.
std::vector<Neighbor> find_within(const Graph& graph, const float* query, float radius, const Lookup& how,
                                  Scratch& scratch);

}  // namespace revector::hnsw
