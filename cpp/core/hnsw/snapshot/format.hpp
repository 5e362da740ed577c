/// @file
/// The layout of our own index files (HnswIndex::save_snapshot).
///
/// Little-endian: a header; the sections, each at a multiple of 64 bytes, zeros in between; the checksums. Where a
/// section lies follows from the header alone. Vectors lie in rows of a multiple of 64 bytes; a row of int8 ends with
/// an Int8Scale in its last bytes. All lists have room for as many links as they may have, after their number.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/hnsw/graph.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace revector::hnsw {

static_assert(std::endian::native == std::endian::little, "the files hold the bytes of the machine");

constexpr std::array<char, 8> snapshot_magic = {'r', 'e', 'v', 'h', 'n', 's', 'w', '\0'};
constexpr std::uint32_t snapshot_version = 1;
constexpr std::size_t section_alignment = 64;

/// All but the rows are checked when a file is opened.
enum Section : std::size_t {
  labels_section,       ///< [count] int64
  order_section,        ///< [count] uint32: the nodes by label, so that a label is found without a table of them
  deleted_section,      ///< [count] 0 or 1
  first_upper_section,  ///< [count + 1] uint32: the first of a node's upper lists; it has as many as levels above 0
  base_section,         ///< [count][1 + 2 m] uint32
  upper_section,        ///< [upper_lists][1 + m] uint32
  rows_section,         ///< [count] rows of the type that searches walk over
  exact_section,        ///< [count] rows of float32, or nothing
  n_sections
};
constexpr std::array<const char*, n_sections> section_names = {"labels",  "order of labels",  "deletions",
                                                               "levels",  "links of level 0", "links of upper levels",
                                                               "vectors", "float32 vectors"};

/// Without padding, so that every byte is covered by the checksum that follows it.
struct SnapshotHeader {
  std::array<char, 8> magic = snapshot_magic;
  std::uint32_t version = snapshot_version;
  std::uint32_t metric = 0, type = 0;  ///< the values of Metric and ElementType
  std::uint32_t has_exact = 0;
  std::uint64_t dim = 0, m = 0, ef_construction = 0, seed = 0;
  std::uint64_t count = 0, n_deleted = 0, upper_lists = 0;
  std::uint32_t entry = 0, entry_level = 0;
  std::uint32_t reserved = 0;
  std::uint32_t checksum = 0;  ///< CRC-32C of what is before
};
static_assert(sizeof(SnapshotHeader) == 96);

/// What a step of int8 is worth, and the squared length of the row that was rounded.
struct Int8Scale {
  float step = 0, square = 0;
};

/// The checksums of the sections and of this list.
struct SnapshotTrailer {
  std::array<std::uint32_t, n_sections> checksums{};
  std::uint32_t reserved = 0;
  std::uint32_t own = 0;
};

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + section_alignment - 1) / section_alignment * section_alignment;
}

/// Bytes of a row.
constexpr std::size_t row_bytes(ElementType type, std::size_t dim) {
  return aligned(dim * element_bytes(type) + (type == ElementType::int8 ? sizeof(Int8Scale) : 0));
}

/// Where everything lies. The numbers of a header that passed its checks do not overflow here.
struct SnapshotLayout {
  explicit SnapshotLayout(const SnapshotHeader& header) {
    const std::uint64_t n = header.count;
    const auto type = static_cast<ElementType>(header.type);
    bytes = {n * sizeof(std::int64_t),
             n * sizeof(NodeId),
             n,
             (n + 1) * sizeof(std::uint32_t),
             n * (2 * header.m + 1) * sizeof(NodeId),
             header.upper_lists * (header.m + 1) * sizeof(NodeId),
             n * row_bytes(type, header.dim),
             header.has_exact != 0 ? n * row_bytes(ElementType::float32, header.dim) : 0};
    std::uint64_t at = aligned(sizeof(SnapshotHeader));
    for (std::size_t section = 0; section < n_sections; ++section) {
      begin[section] = at;
      at = aligned(at + bytes[section]);
    }
    trailer = at;
    total = at + sizeof(SnapshotTrailer);
  }

  std::array<std::uint64_t, n_sections> begin{}, bytes{};
  std::uint64_t trailer = 0, total = 0;
};

}  // namespace revector::hnsw
