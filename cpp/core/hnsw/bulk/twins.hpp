/// @file
/// Points that are the same to the bit, as those of identical texts are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/hnsw/bulk/members.hpp"
#include "core/hnsw/bulk/points.hpp"
#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// Points by kind. Linked like others, twins would fill their lists with each other and be an island; so the first of
/// each kind is linked for all of them.
class Twins {
 public:
  explicit Twins(const Points& points);

  std::size_t kinds() const { return members_.numbers(); }
  /// The points of a kind, at least one, in order. Kinds are in the order of their first points.
  std::span<const std::uint32_t> of(std::size_t kind) const { return members_.of(kind); }
  std::uint32_t first(std::size_t kind) const { return of(kind).front(); }

 private:
  Members members_;
};

/// Link twins once the first of them is linked: a tree of them hangs from it, and each has its links, so that one that
/// is met leads to all others and away. What the first has no place for any more are its farthest links.
/// @param twins  at least one; the first one has links at that level, the others need none
void link_twins(Graph& graph, std::size_t level, std::span<const NodeId> twins);

}  // namespace revector::hnsw
