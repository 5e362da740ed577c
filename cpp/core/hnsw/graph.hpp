/// @file
/// The graph itself: vectors, links, labels. It knows nothing of searching, building or threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/hnsw/chunks.hpp"
#include "core/hnsw/coarse_rows.hpp"
#include "core/hnsw/label_table.hpp"
#include "core/prefetch.hpp"
#include "kernels/table.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

/// Number of a node: dense, in order of arrival.
using NodeId = std::uint32_t;

/// Of a list of level 0 for M = 16: what is fetched ahead.
inline constexpr std::size_t usual_list_bytes = 33 * sizeof(NodeId);

/// A node at a distance from something.
struct Neighbor {
  float distance;
  NodeId id;
};

/// Total order, so that nothing depends on the order in which equals arrive. An object, as algorithms inline its call
/// and would not inline that of a function.
inline constexpr auto closer = [](const Neighbor& a, const Neighbor& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
};

/// Smaller is closer, and score = -distance for each metric: -dot for cosine and inner product (hnswlib's 1 - dot has
/// the same order and fewer digits), the squared distance for l2. Never NaN for rows that passed is_measurable().
class Distance {
 public:
  Distance(Metric metric, std::size_t dim);
  float operator()(const float* a, const float* b) const { return sign_ * kernel_(a, b, dim_); }

 private:
  float (*kernel_)(const float*, const float*, std::size_t);
  float sign_;
  std::size_t dim_;
};

/// Write a vector or a query as the metric wants it: for cosine at unit length. out may be the vector.
void prepare_row(Metric metric, const float* vector, float* out, std::size_t dim);

/// Whether the squared length is finite in float32. By Cauchy-Schwarz no product of two such rows, nor a part of it,
/// overflows both ways, so distances are never NaN.
bool is_measurable(const float* row, std::size_t dim);

/// Where searches start: a node of the highest level.
struct Entry {
  NodeId id = 0;
  std::size_t level = 0;
};

class Graph {
 public:
  static constexpr std::size_t max_dim = std::size_t{1} << 20U, max_m = 10000;  // max_m is hnswlib's
  static constexpr NodeId max_nodes = UINT32_MAX;  // UINT32_MAX itself is hnswlib's "no node"

  /// @param for_search  whether walks will want coarse rows, and callers nodes by their labels
  Graph(std::size_t dim, Metric metric, HnswOptions options, bool for_search = true);

  std::size_t dim() const { return dim_; }
  Metric metric() const { return metric_; }
  const HnswOptions& options() const { return options_; }
  const Distance& distance() const { return distance_; }

  std::size_t size() const { return labels_.size(); }  ///< deleted nodes included
  std::size_t n_deleted() const { return n_deleted_; }

  const float* vector(NodeId id) const { return vectors_.row(id); }
  /// Let write(out) write the node's vector, as the metric wants it.
  template <class Write>
  void write_vector(NodeId id, const Write& write) {
    float* row = vectors_.row(id);
    write(row);
    if (coarse_) coarse_->set(id, row);
  }
  /// Store a vector as the metric wants it.
  void set_vector(NodeId id, const float* vector) {
    write_vector(id, [&](float* out) { prepare(vector, out); });
  }
  /// Let node i have the vector that node order[i] has, in place.
  /// @param order  of the first nodes, each once
  void permute_vectors(std::span<const NodeId> order);
  /// The vectors in eight bits; null where that does not pay.
  const CoarseRows* coarse() const { return coarse_ ? &*coarse_ : nullptr; }
  void prepare(const float* vector, float* out) const { prepare_row(metric_, vector, out, dim_); }
  std::int64_t label(NodeId id) const { return labels_[id]; }
  /// Nothing is found in a graph that is not for searches.
  std::optional<NodeId> find(std::int64_t label) const { return ids_ ? ids_->find(label) : std::nullopt; }
  bool is_deleted(NodeId id) const { return deleted_[id] != 0; }
  void set_deleted(NodeId id, bool deleted);

  std::size_t level(NodeId id) const { return levels_[id]; }
  /// Links a list of that level may hold.
  std::size_t capacity(std::size_t level) const { return level == 0 ? 2 * options_.m : options_.m; }
  std::span<const NodeId> links(NodeId id, std::size_t level) const {
    const NodeId* list = list_of(id, level);
    return {list + 1, *list};
  }
  /// Begin to fetch the links() of level 0; others are few and lie behind a pointer.
  [[gnu::always_inline]] void prefetch_links(NodeId id, std::size_t level) const {
    if (level == 0) prefetch(base_.row(id), usual_list_bytes);
  }
  /// @param links  at most capacity(level); not a view of the list itself
  void set_links(NodeId id, std::size_t level, std::span<const NodeId> links);
  /// The list must not be full.
  void push_link(NodeId id, std::size_t level, NodeId link);

  Entry entry;                    ///< meaningless while size() is 0
  std::size_t file_capacity = 0;  ///< nodes that there was room for in hnswlib's file, if it came from one

  /// Make room, so that append() up to n nodes allocates no more than the links of upper levels and places of labels.
  void reserve(std::size_t n);
  /// A node without links; its vector is not initialised. The label must be new.
  NodeId append(std::int64_t label, std::size_t level);
  /// Raise a node of level 0; its new lists are empty.
  void set_level(NodeId id, std::size_t level);
  /// Drop the nodes from `n` on, and every link to them.
  void truncate(std::size_t n);
  /// The level that a new node has: geometric with ratio 1/m, drawn by hashing (seed, id).
  std::size_t draw_level(NodeId id) const;

 private:
  const NodeId* list_of(NodeId id, std::size_t level) const {
    return level == 0 ? base_.row(id) : upper_[id].get() + (level - 1) * (options_.m + 1);
  }
  NodeId* list_of(NodeId id, std::size_t level) {
    return level == 0 ? base_.row(id) : upper_[id].get() + (level - 1) * (options_.m + 1);
  }

  std::size_t dim_;
  Metric metric_;
  HnswOptions options_;
  Distance distance_;
  Chunks<float> vectors_;
  std::optional<CoarseRows> coarse_;
  Chunks<NodeId> base_;                           // a list: number of links, then the links
  std::vector<std::unique_ptr<NodeId[]>> upper_;  // lists of levels 1, 2, ...; null at level 0
  std::vector<std::uint8_t> levels_, deleted_;
  std::vector<std::int64_t> labels_;
  std::optional<LabelTable> ids_;
  std::size_t n_deleted_ = 0;
};

}  // namespace revector::hnsw
