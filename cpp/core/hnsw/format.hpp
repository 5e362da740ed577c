/// @file
/// The layout of hnswlib's files (saveIndex of 0.8).
///
/// Little-endian and without padding: a header; for each node a record of level 0, [list, vector, label]; then for each
/// node the byte count of its upper lists (32 bits) and those lists, level 1 first. A list is a word and the room for
/// all links it may hold; the word's lower half is the number of links, the lowest bit of its third byte marks (at
/// level 0) a deleted node.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "revector/hnsw.hpp"

namespace revector::hnsw {

static_assert(std::endian::native == std::endian::little, "the files hold the bytes of the machine");

constexpr std::uint32_t no_node = UINT32_MAX;
constexpr std::uint32_t count_mask = 0xFFFFU, deleted_bit = 0x10000U;

constexpr std::size_t word_bytes = sizeof(std::uint32_t);

#pragma pack(push, 1)
struct FileHeader {
  std::uint64_t base_offset = 0;
  std::uint64_t max_elements = 0;
  std::uint64_t count = 0;
  std::uint64_t record_bytes = 0;
  std::uint64_t label_offset = 0;
  std::uint64_t vector_offset = 0;
  std::int32_t max_level = -1;
  std::uint32_t entry = no_node;
  std::uint64_t max_links = 0;
  std::uint64_t max_links0 = 0;
  std::uint64_t m = 0;
  double level_multiplier = 0;
  std::uint64_t ef_construction = 0;
};
#pragma pack(pop)
static_assert(sizeof(FileHeader) == 96);

/// The header of an index of this shape; what concerns the graph and the capacity is left empty.
inline FileHeader header_of(std::size_t dim, std::size_t m, std::uint64_t count) {
  FileHeader header;
  header.count = count;
  header.vector_offset = word_bytes * (2 * m + 1);
  header.label_offset = header.vector_offset + sizeof(float) * dim;
  header.record_bytes = header.label_offset + sizeof(std::uint64_t);
  header.max_links = header.m = m;
  header.max_links0 = 2 * m;
  header.level_multiplier = 1 / std::log(static_cast<double>(m));
  return header;
}

/// Bytes of one list of an upper level.
inline std::size_t upper_list_bytes(std::size_t m) { return word_bytes * (m + 1); }

}  // namespace revector::hnsw
