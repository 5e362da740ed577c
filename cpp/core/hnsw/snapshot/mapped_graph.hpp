/// @file
/// A graph that lies in a file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/hnsw/snapshot/format.hpp"
#include "core/hnsw/snapshot/rows.hpp"
#include "core/mapped_file.hpp"

namespace revector::hnsw {

/// Links, labels and vectors of a snapshot, read where they lie. What could lead out of the file is looked at when it
/// is followed, not before: a list costs a walk some nanoseconds, and an open file nothing, however long it is.
class MappedGraph {
 public:
  /// Read the header. @throws CorruptIndex, IoError
  explicit MappedGraph(const std::string& path);
  /// Compare every checksum, and look at all that checksums do not tell. @throws CorruptIndex
  void verify() const;

  const SnapshotHeader& header() const { return header_; }
  std::size_t size() const { return header_.count; }
  std::size_t dim() const { return header_.dim; }
  Metric metric() const { return static_cast<Metric>(header_.metric); }
  ElementType type() const { return static_cast<ElementType>(header_.type); }
  bool has_exact() const { return header_.has_exact != 0; }

  std::int64_t label(NodeId id) const { return labels_[id]; }
  bool is_deleted(NodeId id) const { return deleted_[id] != 0; }
  /// @throws CorruptIndex
  std::optional<NodeId> find(std::int64_t label) const;
  std::size_t level(NodeId id) const { return first_upper_[id + 1] - first_upper_[id]; }
  StoredRows rows() const { return {at(rows_section), row_bytes(type(), dim()), dim()}; }
  /// The most exact vectors there are, if they are of float32; else rows().
  StoredRows exact_rows() const { return {at(exact_section), row_bytes(ElementType::float32, dim()), dim()}; }

  /// As PlainLinks. @throws CorruptIndex where a list leads out of the file
  Entry entry() const { return {header_.entry, header_.entry_level}; }
  std::span<const NodeId> operator()(NodeId id, std::size_t level) const {
    if (level == 0) return checked(base_section, base_ + id * (2 * header_.m + 1), 2 * header_.m);
    const std::uint64_t list = std::uint64_t{first_upper_[id]} + level - 1;
    if (list >= header_.upper_lists) refuse_level(id, level);
    return checked(upper_section, upper_ + list * (header_.m + 1), header_.m);
  }
  [[gnu::always_inline]] void prefetch(NodeId id, std::size_t level) const {
    if (level == 0) revector::prefetch(base_ + id * (2 * header_.m + 1), usual_list_bytes);
  }

 private:
  [[noreturn]] void fail(std::uint64_t offset, const std::string& reason) const;
  [[noreturn]] void refuse_format(const std::string& magic) const;
  void refuse_list(Section section, const NodeId* list, std::size_t capacity) const;
  [[noreturn]] void refuse_level(NodeId id, std::size_t level) const;
  std::span<const NodeId> checked(Section section, const NodeId* list, std::size_t capacity) const {
    const std::size_t n = *list;
    NodeId highest = 0;
    for (std::size_t i = 1; i <= std::min(n, capacity); ++i) highest = std::max(highest, list[i]);
    if (n > capacity || highest >= size()) refuse_list(section, list, capacity);
    return {list + 1, n};
  }
  NodeId ordered(std::size_t place) const;
  const unsigned char* at(Section section) const { return file_.data() + layout_.begin[section]; }
  template <class T>
  const T* elements(Section section) const {
    return reinterpret_cast<const T*>(at(section));
  }
  std::uint64_t offset(Section section, std::uint64_t element, std::size_t bytes) const {
    return layout_.begin[section] + element * bytes;
  }

  SnapshotHeader read_header() const;
  void check_size() const;
  void check_section(Section section) const;
  void check_labels() const;
  void check_levels() const;
  void check_entry() const;
  void check_ends(NodeId id, std::size_t level) const;
  void check_links() const;

  std::string path_;
  MappedFile file_;
  SnapshotHeader header_;
  SnapshotLayout layout_;
  const std::int64_t* labels_ = nullptr;
  const NodeId* order_ = nullptr;
  const std::uint8_t* deleted_ = nullptr;
  const std::uint32_t* first_upper_ = nullptr;
  const NodeId *base_ = nullptr, *upper_ = nullptr;
};

}  // namespace revector::hnsw
