#include "core/hnsw/snapshot/write.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/crc32c.hpp"
#include "core/hnsw/snapshot/format.hpp"
#include "core/hnsw/snapshot/rows.hpp"
#include "core/kernels.hpp"
#include "revector/errors.hpp"

namespace revector::hnsw {
namespace {

/// @throws InvalidArgument, NumericalError
void require_storable(const Graph& graph, ElementType type) {
  if (type == ElementType::int8 && graph.dim() > most_int8_dims)
    throw InvalidArgument("vectors have " + std::to_string(graph.dim()) + " dimensions, expected at most " +
                          std::to_string(most_int8_dims) + " for int8; take bfloat16");
  if (type != ElementType::float16) return;
  for (NodeId id = 0; id < graph.size(); ++id) {
    float lowest = 0, highest = 0;
    kernels::table().rows.extremes(graph.vector(id), graph.dim(), &lowest, &highest);
    if (std::max(-lowest, highest) > largest_float16)
      throw NumericalError("the vector of id " + std::to_string(graph.label(id)) +
                           " has an element above 65,504, the largest of float16; take bfloat16");
  }
}

class Writer {
 public:
  Writer(const Graph& graph, const std::string& path, const SnapshotOptions& options)
      : graph_(graph), type_(options.type), header_(header_for(graph, options)), layout_(header_), file_(path) {}

  void run() {
    header_.checksum = crc32c(&header_, offsetof(SnapshotHeader, checksum));
    put(&header_, sizeof(header_));
    section(labels_section, [&] { each([&](NodeId id) { put_one(graph_.label(id)); }); });
    section(order_section, [&] { put_order(); });
    section(deleted_section, [&] { each([&](NodeId id) { put_one(std::uint8_t{graph_.is_deleted(id)}); }); });
    section(first_upper_section, [&] { put_first_upper(); });
    section(base_section, [&] { each([&](NodeId id) { put_list(id, 0); }); });
    section(upper_section, [&] {
      each([&](NodeId id) {
        for (std::size_t level = 1; level <= graph_.level(id); ++level) put_list(id, level);
      });
    });
    section(rows_section, [&] { each([&](NodeId id) { put_row(id, type_); }); });
    section(exact_section, [&] {
      if (header_.has_exact != 0) each([&](NodeId id) { put_row(id, ElementType::float32); });
    });
    pad_to(layout_.trailer);
    trailer_.own = crc32c(&trailer_, offsetof(SnapshotTrailer, own));
    put(&trailer_, sizeof(trailer_));
    file_.commit();
  }

 private:
  static SnapshotHeader header_for(const Graph& graph, const SnapshotOptions& options) {
    SnapshotHeader header;
    header.metric = static_cast<std::uint32_t>(graph.metric());
    header.type = static_cast<std::uint32_t>(options.type);
    header.has_exact = options.rescore && options.type != ElementType::float32 ? 1 : 0;
    header.dim = graph.dim();
    header.m = graph.options().m;
    header.ef_construction = graph.options().ef_construction;
    header.seed = graph.options().seed;
    header.count = graph.size();
    header.n_deleted = graph.n_deleted();
    for (NodeId id = 0; id < graph.size(); ++id) header.upper_lists += graph.level(id);
    if (graph.size() == 0) return header;
    header.entry = graph.entry.id;
    header.entry_level = static_cast<std::uint32_t>(graph.entry.level);
    return header;
  }

  void put(const void* data, std::size_t bytes) {
    file_.write(data, bytes);
    written_ += bytes;
    checksum_ = crc32c(data, bytes, checksum_);
  }
  template <class T>
  void put_one(T value) {
    put(&value, sizeof(value));
  }
  template <class Body>
  void each(const Body& body) {
    for (NodeId id = 0; id < graph_.size(); ++id) body(id);
  }
  void pad_to(std::uint64_t offset) {
    static constexpr std::array<char, section_alignment> zeros{};
    put(zeros.data(), offset - written_);
  }
  template <class Body>
  void section(Section which, const Body& body) {
    pad_to(layout_.begin[which]);
    checksum_ = 0;
    body();
    trailer_.checksums[which] = checksum_;
  }

  void put_order() {
    std::vector<NodeId> order(graph_.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](NodeId a, NodeId b) { return graph_.label(a) < graph_.label(b); });
    put(order.data(), order.size() * sizeof(NodeId));
  }
  void put_first_upper() {
    std::uint32_t first = 0;
    put_one(first);
    each([&](NodeId id) { put_one(first += static_cast<std::uint32_t>(graph_.level(id))); });
  }
  void put_list(NodeId id, std::size_t level) {
    const auto links = graph_.links(id, level);
    list_.assign(graph_.capacity(level) + 1, 0);
    list_[0] = static_cast<NodeId>(links.size());
    std::copy(links.begin(), links.end(), list_.begin() + 1);
    put(list_.data(), list_.size() * sizeof(NodeId));
  }
  void put_row(NodeId id, ElementType type) {
    const float* vector = graph_.vector(id);
    const std::size_t d = graph_.dim();
    row_.assign(row_bytes(type, d), 0);
    if (type == ElementType::float32) {
      std::memcpy(row_.data(), vector, d * sizeof(float));
    } else if (type == ElementType::int8) {
      const Int8Scale scale = to_int8(vector, d, reinterpret_cast<std::int8_t*>(row_.data()));
      std::memcpy(row_.data() + row_.size() - sizeof(scale), &scale, sizeof(scale));
    } else {
      auto* out = reinterpret_cast<std::uint16_t*>(row_.data());
      std::transform(vector, vector + d, out, type == ElementType::float16 ? to_float16 : to_bfloat16);
    }
    put(row_.data(), row_.size());
  }

  const Graph& graph_;
  ElementType type_;
  SnapshotHeader header_;
  SnapshotLayout layout_;
  SnapshotTrailer trailer_;
  AtomicFile file_;
  std::uint64_t written_ = 0;
  std::uint32_t checksum_ = 0;
  std::vector<NodeId> list_;
  std::vector<unsigned char> row_;
};

}  // namespace

void write_snapshot(const Graph& graph, const std::string& path, const SnapshotOptions& options) {
  require_storable(graph, options.type);
  Writer(graph, path, options).run();
}

}  // namespace revector::hnsw
