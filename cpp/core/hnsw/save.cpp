#include <algorithm>
#include <utility>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/hnsw/arguments.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/format.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t least_room = 10'000;  // vectors that can be added by hnswlib, which never makes room itself

/// What AtomicFile does, in memory.
struct Bytes {
  std::string all;
  void write(const void* data, std::size_t bytes) { all.append(static_cast<const char*>(data), bytes); }
};

template <class Sink>
void write_list(Sink& file, const Graph& graph, NodeId id, std::size_t level, std::vector<std::uint32_t>& buffer) {
  const auto links = graph.links(id, level);
  buffer.assign(graph.capacity(level) + 1, 0);
  buffer[0] = static_cast<std::uint32_t>(links.size()) | (level == 0 && graph.is_deleted(id) ? deleted_bit : 0);
  std::copy(links.begin(), links.end(), buffer.begin() + 1);
  file.write(buffer.data(), buffer.size() * word_bytes);
}

template <class Sink>
void write_record(Sink& file, const Graph& graph, NodeId id, std::vector<std::uint32_t>& buffer) {
  write_list(file, graph, id, 0, buffer);
  file.write(graph.vector(id), graph.dim() * sizeof(float));
  const std::int64_t label = graph.label(id);
  file.write(&label, sizeof(label));
}

template <class Sink>
void write_upper_lists(Sink& file, const Graph& graph, NodeId id, std::vector<std::uint32_t>& buffer) {
  const auto bytes = static_cast<std::uint32_t>(graph.level(id) * upper_list_bytes(graph.options().m));
  file.write(&bytes, sizeof(bytes));
  for (std::size_t level = 1; level <= graph.level(id); ++level) write_list(file, graph, id, level, buffer);
}

template <class Sink>
void write_all(Sink& file, const Graph& graph, std::size_t capacity) {
  FileHeader header = header_of(graph.dim(), graph.options().m, graph.size());
  header.max_elements = std::max<std::size_t>(capacity, 1);  // hnswlib cannot open one of capacity 0
  header.ef_construction = graph.options().ef_construction;
  if (graph.size() > 0) {
    header.entry = graph.entry.id;
    header.max_level = static_cast<std::int32_t>(graph.entry.level);
  }
  std::vector<std::uint32_t> buffer;
  file.write(&header, sizeof(header));
  for (std::size_t id = 0; id < graph.size(); ++id) write_record(file, graph, static_cast<NodeId>(id), buffer);
  for (std::size_t id = 0; id < graph.size(); ++id) write_upper_lists(file, graph, static_cast<NodeId>(id), buffer);
}

std::size_t usual_capacity(const Graph& graph) {
  return std::max(graph.file_capacity, graph.size() + std::max(graph.size() / 4, least_room));
}

}  // namespace

void save(const Graph& graph, const std::string& path, std::optional<std::size_t> capacity) {
  if (capacity) require_between("capacity", *capacity, graph.size(), Graph::max_nodes);
  AtomicFile file(path);
  write_all(file, graph, capacity.value_or(usual_capacity(graph)));
  file.commit();
}

std::string to_bytes(const Graph& graph) {
  Bytes bytes;
  write_all(bytes, graph, usual_capacity(graph));
  return std::move(bytes.all);
}

}  // namespace revector::hnsw
