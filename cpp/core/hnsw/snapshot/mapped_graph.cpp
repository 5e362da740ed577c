#include "core/hnsw/snapshot/mapped_graph.hpp"

#include <algorithm>
#include <cstring>

#include "core/crc32c.hpp"
#include "core/hnsw/faiss_kinds.hpp"
#include "revector/errors.hpp"

namespace revector::hnsw {
namespace {

constexpr std::uint64_t most_levels = 255;

}  // namespace

MappedGraph::MappedGraph(const std::string& path) : path_(path), file_(path), header_(read_header()), layout_(header_) {
  check_size();
  labels_ = elements<std::int64_t>(labels_section);
  order_ = elements<NodeId>(order_section);
  deleted_ = elements<std::uint8_t>(deleted_section);
  first_upper_ = elements<std::uint32_t>(first_upper_section);
  base_ = elements<NodeId>(base_section);
  upper_ = elements<NodeId>(upper_section);
  check_entry();
}

void MappedGraph::verify() const {
  for (std::size_t section = 0; section < n_sections; ++section) check_section(static_cast<Section>(section));
  check_labels();
  check_levels();
  check_links();
}

std::optional<NodeId> MappedGraph::find(std::int64_t label) const {
  std::size_t first = 0;
  for (std::size_t n = size(); n > 0;) {  // std::lower_bound, of places that are looked at before they are followed
    const std::size_t half = n / 2, middle = first + half;
    if (labels_[ordered(middle)] < label) {
      first = middle + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  if (first == size()) return std::nullopt;
  const NodeId node = ordered(first);
  return labels_[node] == label ? std::optional(node) : std::nullopt;
}

NodeId MappedGraph::ordered(std::size_t place) const {
  const NodeId node = order_[place];
  if (node >= size())
    fail(offset(order_section, place, sizeof(NodeId)),
         "node " + std::to_string(node) + " of " + std::to_string(size()));
  return node;
}

void MappedGraph::refuse_list(Section section, const NodeId* list, std::size_t capacity) const {
  const std::uint64_t begin =
      layout_.begin[section] + static_cast<std::uint64_t>(list - elements<NodeId>(section)) * sizeof(NodeId);
  if (*list > capacity)
    fail(begin, "a list of " + std::to_string(*list) + " links, expected at most " + std::to_string(capacity));
  for (std::size_t i = 1; i <= *list; ++i)
    if (list[i] >= size())
      fail(begin + i * sizeof(NodeId), "a link to node " + std::to_string(list[i]) + " of " + std::to_string(size()));
}

void MappedGraph::refuse_level(NodeId id, std::size_t level) const {
  fail(offset(first_upper_section, id, sizeof(std::uint32_t)),
       "a list of level " + std::to_string(level) + " of node " + std::to_string(id) + ", which ends below");
}

void MappedGraph::fail(std::uint64_t offset, const std::string& reason) const {
  throw CorruptIndex(path_ + ", offset " + std::to_string(offset) + ": " + reason +
                     "; restore the file or write the snapshot anew");
}

/// The formats of others are sound, but not for here: hnswlib's begins with zeros, those of faiss with letters.
void MappedGraph::refuse_format(const std::string& magic) const {
  const std::string kind = magic.substr(0, faiss_letters);
  if (!faiss_kind(kind).empty())
    throw UnsupportedIndex(path_ + ": a file of faiss ('" + kind + "'), expected a snapshot; load it as one of faiss");
  if (magic == std::string(magic.size(), '\0'))
    throw UnsupportedIndex(path_ + ": this looks like a file of hnswlib, expected a snapshot; load it as an index");
  fail(0, "this is not a snapshot of an index");
}

SnapshotHeader MappedGraph::read_header() const {
  SnapshotHeader header;
  if (file_.size() < sizeof(header)) fail(file_.size(), "the file ends within its header");
  std::memcpy(&header, file_.data(), sizeof(header));
  if (header.magic != snapshot_magic) refuse_format(std::string(header.magic.data(), header.magic.size()));
  if (header.version != snapshot_version)
    throw UnsupportedIndex(path_ + ", offset " + std::to_string(offsetof(SnapshotHeader, version)) +
                           ": format version " + std::to_string(header.version) + ", expected " +
                           std::to_string(snapshot_version) + "; a newer revector wrote it: update this one");
  if (header.checksum != crc32c(&header, offsetof(SnapshotHeader, checksum)))
    fail(offsetof(SnapshotHeader, checksum), "the checksum of the header differs");
  const auto expect = [&](bool holds, std::uint64_t offset, const char* name, std::uint64_t value) {
    if (!holds) fail(offset, std::string(name) + " is " + std::to_string(value));
  };
  expect(header.metric <= 2, offsetof(SnapshotHeader, metric), "the metric", header.metric);
  expect(header.type <= 3, offsetof(SnapshotHeader, type), "the type of the vectors", header.type);
  expect(header.has_exact <= 1, offsetof(SnapshotHeader, has_exact), "the mark of float32 vectors", header.has_exact);
  const std::size_t most_dims =
      header.type == static_cast<std::uint32_t>(ElementType::int8) ? most_int8_dims : Graph::max_dim;
  expect(header.dim >= 1 && header.dim <= most_dims, offsetof(SnapshotHeader, dim), "the dimension", header.dim);
  expect(header.m >= 2 && header.m <= Graph::max_m, offsetof(SnapshotHeader, m), "M", header.m);
  expect(header.count <= Graph::max_nodes, offsetof(SnapshotHeader, count), "the number of nodes", header.count);
  expect(header.n_deleted <= header.count, offsetof(SnapshotHeader, n_deleted), "the number of deleted nodes",
         header.n_deleted);
  expect(header.upper_lists <= UINT32_MAX, offsetof(SnapshotHeader, upper_lists), "the number of upper lists",
         header.upper_lists);
  expect(header.count == 0 || header.entry < header.count, offsetof(SnapshotHeader, entry), "the entry point",
         header.entry);
  return header;
}

void MappedGraph::check_size() const {
  if (file_.size() != layout_.total)
    fail(std::min<std::uint64_t>(file_.size(), layout_.total),
         "the file has " + std::to_string(file_.size()) + " bytes, expected " + std::to_string(layout_.total));
  SnapshotTrailer trailer;
  std::memcpy(&trailer, file_.data() + layout_.trailer, sizeof(trailer));
  if (trailer.own != crc32c(&trailer, offsetof(SnapshotTrailer, own)))
    fail(layout_.trailer, "the checksum of the checksums differs");
}

void MappedGraph::check_section(Section section) const {
  SnapshotTrailer trailer;
  std::memcpy(&trailer, file_.data() + layout_.trailer, sizeof(trailer));
  if (trailer.checksums[section] != crc32c(at(section), layout_.bytes[section]))
    fail(layout_.begin[section], std::string("the checksum of the ") + section_names[section] + " differs");
}

/// Labels are found by halving: the order must be one, which also makes each node and each label occur once.
void MappedGraph::check_labels() const {
  std::uint64_t n_deleted = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    const std::int64_t before = i == 0 ? -1 : labels_[order_[i - 1]];
    if (labels_[ordered(i)] <= before)
      fail(offset(order_section, i, sizeof(NodeId)), "labels are not in order, or negative");
    if (deleted_[i] > 1) fail(offset(deleted_section, i, 1), "a mark of " + std::to_string(deleted_[i]));
    n_deleted += deleted_[i];
  }
  if (n_deleted != header_.n_deleted)
    fail(offsetof(SnapshotHeader, n_deleted),
         std::to_string(header_.n_deleted) + " nodes are deleted, expected " + std::to_string(n_deleted));
}

void MappedGraph::check_levels() const {
  const auto where = [&](std::size_t i) { return offset(first_upper_section, i, sizeof(std::uint32_t)); };
  if (first_upper_[0] != 0) fail(where(0), "upper lists do not begin with the first");
  for (std::size_t i = 0; i < size(); ++i)
    if (first_upper_[i + 1] < first_upper_[i] || first_upper_[i + 1] - first_upper_[i] > most_levels)
      fail(where(i + 1), "node " + std::to_string(i) + " has upper lists " + std::to_string(first_upper_[i]) + " to " +
                             std::to_string(first_upper_[i + 1]));
  if (first_upper_[size()] != header_.upper_lists)
    fail(where(size()),
         std::to_string(first_upper_[size()]) + " upper lists, expected " + std::to_string(header_.upper_lists));
}

/// Where every search begins, and how far it descends.
void MappedGraph::check_entry() const {
  if (size() > 0 && (level(header_.entry) != header_.entry_level || header_.entry_level > most_levels))
    fail(offsetof(SnapshotHeader, entry_level), "the entry point is of level " + std::to_string(level(header_.entry)) +
                                                    ", expected " + std::to_string(header_.entry_level));
}

/// What a walk does not look at: that a link leads to a node of the level.
void MappedGraph::check_ends(NodeId id, std::size_t level) const {
  for (const NodeId& link : (*this)(id, level))
    if (this->level(link) < level)
      fail(layout_.begin[upper_section] + static_cast<std::uint64_t>(&link - upper_) * sizeof(NodeId),
           "a link of level " + std::to_string(level) + " to node " + std::to_string(link) + ", which ends at level " +
               std::to_string(this->level(link)));
}

void MappedGraph::check_links() const {
  for (NodeId id = 0; id < size(); ++id)
    for (std::size_t level = 0; level <= this->level(id); ++level) check_ends(id, level);
}

}  // namespace revector::hnsw
