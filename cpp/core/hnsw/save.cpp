#include <span>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/format.hpp"

namespace revector::hnsw {
namespace {

void write_list(AtomicFile& file, const Graph& graph, NodeId id, std::size_t level,
                std::vector<std::uint32_t>& buffer) {
  const auto links = graph.links(id, level);
  buffer.assign(graph.capacity(level) + 1, 0);
  buffer[0] = static_cast<std::uint32_t>(links.size()) | (level == 0 && graph.is_deleted(id) ? deleted_bit : 0);
  std::copy(links.begin(), links.end(), buffer.begin() + 1);
  file.write(buffer.data(), buffer.size() * word_bytes);
}

void write_record(AtomicFile& file, const Graph& graph, NodeId id, std::vector<std::uint32_t>& buffer) {
  write_list(file, graph, id, 0, buffer);
  file.write(graph.vector(id), graph.dim() * sizeof(float));
  const std::int64_t label = graph.label(id);
  file.write(&label, sizeof(label));
}

void write_upper_lists(AtomicFile& file, const Graph& graph, NodeId id, std::vector<std::uint32_t>& buffer) {
  const auto bytes = static_cast<std::uint32_t>(graph.level(id) * upper_list_bytes(graph.options().m));
  file.write(&bytes, sizeof(bytes));
  for (std::size_t level = 1; level <= graph.level(id); ++level) write_list(file, graph, id, level, buffer);
}

}  // namespace

void save(const Graph& graph, const std::string& path) {
  FileHeader header = header_of(graph.dim(), graph.options().m, graph.size());
  header.ef_construction = graph.options().ef_construction;
  if (graph.size() > 0) {
    header.entry = graph.entry.id;
    header.max_level = static_cast<std::int32_t>(graph.entry.level);
  }
  AtomicFile file(path);
  std::vector<std::uint32_t> buffer;
  file.write(&header, sizeof(header));
  for (std::size_t id = 0; id < graph.size(); ++id) write_record(file, graph, static_cast<NodeId>(id), buffer);
  for (std::size_t id = 0; id < graph.size(); ++id) write_upper_lists(file, graph, static_cast<NodeId>(id), buffer);
  file.commit();
}

}  // namespace revector::hnsw
