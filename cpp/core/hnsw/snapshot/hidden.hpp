/// @file
/// Which nodes of a file are not found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/hnsw/snapshot/mapped_graph.hpp"

namespace revector::hnsw {

/// Those that are deleted in the file, and those hidden since. Bits of its own only from the first of the latter on.
class Hidden {
 public:
  /// @param graph  lives longer than this
  explicit Hidden(const MappedGraph& graph) : graph_(&graph), size_(graph.header().n_deleted) {}

  bool contains(NodeId id) const {
    return bits_.empty() ? graph_->is_deleted(id) : ((bits_[id / 64] >> (id % 64)) & 1U) != 0;
  }
  std::size_t size() const { return size_; }

  /// Labels that are not there are passed over. @throws CorruptIndex
  void hide(std::span<const std::int64_t> labels) {
    if (bits_.empty()) copy_deleted();
    for (std::int64_t label : labels)
      if (const auto node = graph_->find(label)) insert(*node);
  }

 private:
  void copy_deleted() {
    bits_.resize(graph_->size() / 64 + 1);
    size_ = 0;
    for (NodeId id = 0; id < graph_->size(); ++id)
      if (graph_->is_deleted(id)) insert(id);
  }
  void insert(NodeId id) {
    std::uint64_t& word = bits_[id / 64];
    const std::uint64_t bit = std::uint64_t{1} << (id % 64);
    size_ += (word & bit) == 0 ? 1 : 0;
    word |= bit;
  }

  const MappedGraph* graph_;
  std::vector<std::uint64_t> bits_;
  std::size_t size_;
};

}  // namespace revector::hnsw
