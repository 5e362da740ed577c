// Any bytes as a snapshot, opened, looked at and searched. Most bytes have no right checksums: those of the first half
// of the inputs are made right, so that what is behind them is reached.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/crc32c.hpp"
#include "core/hnsw/snapshot/format.hpp"
#include "memory_file.hpp"
#include "revector/errors.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace {

using namespace revector::hnsw;

void seal(std::vector<std::uint8_t>& bytes) {
  SnapshotHeader header;
  if (bytes.size() < sizeof(header)) return;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.magic = snapshot_magic;
  header.version = snapshot_version;
  header.checksum = revector::crc32c(&header, offsetof(SnapshotHeader, checksum));
  std::memcpy(bytes.data(), &header, sizeof(header));
  constexpr std::uint64_t small = 1000;
  if (header.count > small || header.dim > small || header.m > small || header.upper_lists > small || header.type > 3)
    return;
  const SnapshotLayout layout(header);
  if (layout.total > 4 * small * small) return;
  bytes.resize(layout.total);
  SnapshotTrailer trailer;
  for (std::size_t section = 0; section < n_sections; ++section)
    trailer.checksums[section] = revector::crc32c(bytes.data() + layout.begin[section], layout.bytes[section]);
  trailer.own = revector::crc32c(&trailer, offsetof(SnapshotTrailer, own));
  std::memcpy(bytes.data() + layout.trailer, &trailer, sizeof(trailer));
}

void use(const revector::HnswSnapshot& snapshot) {
  const std::size_t dim = snapshot.dim();
  std::vector<float> query(dim, 0.5F), scores(3);
  std::vector<std::int64_t> found(3);
  const revector::MatrixView<const float> queries(query.data(), 1, dim);
  snapshot.search(queries, 3, 10, {scores.data(), 1, 3}, {found.data(), 1, 3});
  snapshot.search_exact(queries, 3, {scores.data(), 1, 3}, {found.data(), 1, 3});
  const std::vector<std::int64_t> labels = snapshot.labels();
  snapshot.search(queries, 3, 10, {scores.data(), 1, 3}, {found.data(), 1, 3}, labels);
  const auto first = std::span(labels).first(std::min<std::size_t>(labels.size(), 1));
  snapshot.without(first).search(queries, 3, 10, {scores.data(), 1, 3}, {found.data(), 1, 3});
  bool there = false;
  if (!labels.empty()) snapshot.find_vectors(first, {&there, 1}, {query.data(), 1, dim});
  snapshot.verify();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile memory;
  if (size == 0) return 0;
  std::vector<std::uint8_t> bytes(data + 1, data + size);
  if (data[0] < 128) seal(bytes);
  memory.write(bytes.data(), bytes.size());
  try {
    use(revector::HnswSnapshot(memory.path()));
  } catch (const revector::Error&) {
  }
  return 0;
}
