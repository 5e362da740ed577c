#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/hnsw/faiss_kinds.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/format.hpp"
#include "core/hnsw/snapshot/format.hpp"
#include "revector/errors.hpp"

namespace revector::hnsw {
namespace {

constexpr float longest_unit_squared = 1.001F;  // what hnswlib's rounding makes of 1 stays far below

/// Reads a graph in the order of the file and refuses what could not have been written by a sound index.
class Loader {
 public:
  Loader(FileReader& file, std::size_t dim, Metric metric, std::uint64_t seed)
      : file_(file), header_(file_.read<FileHeader>()), dim_(dim), metric_(metric), seed_(seed) {}

  Graph load() {
    check_format();
    check_dimension();
    check_shape();
    check_counts();
    Graph graph(dim_, metric_, {header_.m, std::max(header_.ef_construction, header_.m), seed_});
    graph.file_capacity = std::min<std::uint64_t>(header_.max_elements, Graph::max_nodes);
    graph.reserve(header_.count);
    read_records(graph);
    read_upper_lists(graph);
    if (file_.left() != 0) fail(file_.offset(), std::to_string(file_.left()) + " bytes too many");
    check_levels(graph);
    if (header_.count > 0) graph.entry = {header_.entry, graph.level(header_.entry)};
    return graph;
  }

 private:
  [[noreturn]] void fail(std::uint64_t offset, const std::string& reason) const { file_.fail(offset, reason); }
  template <class T>
  void expect(std::uint64_t offset, const char* name, T got, T expected) const {
    if (got != expected)
      fail(offset, std::string(name) + " is " + std::to_string(got) + ", expected " + std::to_string(expected));
  }

  void check_format() const;
  void check_dimension() const;
  void check_shape() const;
  void check_counts() const;
  std::span<const NodeId> read_list(std::size_t capacity, std::uint32_t allowed_marks);
  void read_records(Graph& graph);
  void read_vector(float* vector);
  void read_upper_lists(Graph& graph);
  void check_levels(const Graph& graph) const;

  FileReader& file_;
  const FileHeader header_;
  std::size_t dim_;
  Metric metric_;
  std::uint64_t seed_;
  std::vector<std::uint32_t> list_;  // the list read last
};

/// Files of ours and of faiss begin with letters, those of hnswlib with zeros.
void Loader::check_format() const {
  std::array<char, sizeof(header_.base_offset)> begin{};
  std::memcpy(begin.data(), &header_.base_offset, begin.size());
  if (begin == snapshot_magic)
    file_.refuse(0, "a snapshot, expected a file in the format of hnswlib; open it as a snapshot");
  const std::string kind(begin.data(), faiss_letters);
  if (!faiss_kind(kind).empty())
    file_.refuse(0, "a file of faiss ('" + kind + "'), expected one in the format of hnswlib; load it as one of faiss");
}

/// A sound header of another dimension is a mistake of the caller, not of the file.
void Loader::check_dimension() const {
  if (header_.m < 2 || header_.m > Graph::max_m)
    fail(offsetof(FileHeader, m),
         "M is " + std::to_string(header_.m) + ", expected 2 to " + std::to_string(Graph::max_m));
  const std::uint64_t dim = (header_.label_offset - header_.vector_offset) / sizeof(float);
  if (dim == 0 || dim > Graph::max_dim || dim == dim_) return;
  const FileHeader expected = header_of(dim, header_.m, 0);
  if (header_.record_bytes == expected.record_bytes && header_.label_offset == expected.label_offset)
    throw ShapeError("the index file holds vectors of " + std::to_string(dim) + " dimensions, expected " +
                     std::to_string(dim_));
}

/// hnswlib derives all this from the dimension and M.
void Loader::check_shape() const {
  const FileHeader expected = header_of(dim_, header_.m, header_.count);
  expect(offsetof(FileHeader, base_offset), "offset of level 0", header_.base_offset, expected.base_offset);
  expect(offsetof(FileHeader, record_bytes), "size of a record", header_.record_bytes, expected.record_bytes);
  expect(offsetof(FileHeader, label_offset), "offset of the id", header_.label_offset, expected.label_offset);
  expect(offsetof(FileHeader, vector_offset), "offset of the vector", header_.vector_offset, expected.vector_offset);
  expect(offsetof(FileHeader, max_links), "maxM", header_.max_links, expected.max_links);
  expect(offsetof(FileHeader, max_links0), "maxM0", header_.max_links0, expected.max_links0);
  if (!(std::abs(header_.level_multiplier - expected.level_multiplier) < 1e-6))
    fail(offsetof(FileHeader, level_multiplier), "the level multiplier is " + std::to_string(header_.level_multiplier) +
                                                     ", expected " + std::to_string(expected.level_multiplier));
}

void Loader::check_counts() const {
  const std::uint64_t least_bytes = header_.record_bytes + word_bytes, count = header_.count;
  if (count > file_.left() / least_bytes || count > Graph::max_nodes)
    fail(offsetof(FileHeader, count), "the file is too short for " + std::to_string(count) + " nodes of " +
                                          std::to_string(least_bytes) + " bytes or more");
  if (header_.max_elements < count)
    fail(offsetof(FileHeader, max_elements),
         "the capacity is " + std::to_string(header_.max_elements) + " for " + std::to_string(count) + " nodes");
  if (header_.ef_construction < 1 || header_.ef_construction > Graph::max_nodes)
    fail(offsetof(FileHeader, ef_construction), "efConstruction is " + std::to_string(header_.ef_construction));
  if (count == 0) {
    expect(offsetof(FileHeader, max_level), "the highest level of an empty index", header_.max_level, -1);
    expect(offsetof(FileHeader, entry), "the entry point of an empty index", header_.entry, no_node);
  } else if (header_.entry >= count) {
    fail(offsetof(FileHeader, entry),
         "the entry point is node " + std::to_string(header_.entry) + " of " + std::to_string(count));
  }
}

/// The links of the next list; valid until the next call. The marks of its word are left in list_[0].
std::span<const NodeId> Loader::read_list(std::size_t capacity, std::uint32_t allowed_marks) {
  const std::uint64_t offset = file_.offset();
  list_.resize(capacity + 1);
  file_.read(list_.data(), list_.size() * word_bytes);
  const std::size_t n_links = list_[0] & count_mask;
  if (n_links > capacity)
    fail(offset, "a list of " + std::to_string(n_links) + " links, expected at most " + std::to_string(capacity));
  if ((list_[0] & ~(count_mask | allowed_marks)) != 0) fail(offset, "a list with unknown marks");
  for (std::size_t i = 1; i <= n_links; ++i)
    if (list_[i] >= header_.count)
      fail(offset + i * word_bytes,
           "a link to node " + std::to_string(list_[i]) + " of " + std::to_string(header_.count));
  return std::span(list_).subspan(1, n_links);
}

void Loader::read_records(Graph& graph) {
  std::vector<float> vector(dim_);
  for (std::uint64_t i = 0; i < header_.count; ++i) {
    const auto links = read_list(graph.capacity(0), deleted_bit);
    read_vector(vector.data());
    const std::uint64_t label_offset = file_.offset();
    const auto label = file_.read<std::int64_t>();
    if (label < 0)
      file_.refuse(label_offset,
                   "id " + std::to_string(static_cast<std::uint64_t>(label)) + ", expected ids up to 2^63 - 1");
    if (graph.find(label)) fail(label_offset, "id " + std::to_string(label) + " occurs twice");
    const NodeId id = graph.append(label, 0);
    graph.write_vector(id, [&](float* out) { std::copy(vector.begin(), vector.end(), out); });
    graph.set_links(id, 0, links);
    graph.set_deleted(id, (list_[0] & deleted_bit) != 0);
  }
}

void Loader::read_vector(float* vector) {
  const std::uint64_t offset = file_.offset();
  file_.read(vector, dim_ * sizeof(float));
  if (!is_measurable(vector, dim_)) fail(offset, "a vector with NaN, infinity or numbers whose squares overflow");
  const Distance minus_dot(Metric::inner_product, dim_);
  if (metric_ == Metric::cosine && -minus_dot(vector, vector) > longest_unit_squared)
    throw InvalidArgument("the file holds a vector longer than 1 (offset " + std::to_string(offset) +
                          "), which the metric cosine does not make; load it with the metric that it was built with, "
                          "or restore the file if that was cosine");
}

void Loader::read_upper_lists(Graph& graph) {
  constexpr std::size_t most_levels = 255;
  const std::size_t one_list = upper_list_bytes(header_.m);
  for (NodeId id = 0; id < header_.count; ++id) {
    const std::uint64_t offset = file_.offset();
    const auto bytes = file_.read<std::uint32_t>();
    if (bytes % one_list != 0 || bytes > file_.left() || bytes / one_list > most_levels)
      fail(offset, std::to_string(bytes) + " bytes of upper lists, expected a multiple of " + std::to_string(one_list) +
                       " that the file holds");
    graph.set_level(id, bytes / one_list);
    for (std::size_t level = 1; level <= graph.level(id); ++level)
      graph.set_links(id, level, read_list(graph.capacity(level), 0));
  }
}

/// What could not be known before all levels were.
void Loader::check_levels(const Graph& graph) const {
  std::uint64_t offset = sizeof(FileHeader) + header_.count * header_.record_bytes;
  for (NodeId id = 0; id < header_.count; ++id) {
    if (static_cast<std::int64_t>(graph.level(id)) > header_.max_level)
      fail(offset, "node " + std::to_string(id) + " is of level " + std::to_string(graph.level(id)) +
                       ", the highest is " + std::to_string(header_.max_level));
    for (std::size_t level = 1; level <= graph.level(id); ++level)
      for (NodeId link : graph.links(id, level))
        if (graph.level(link) < level)
          fail(offset, "node " + std::to_string(id) + " has a link of level " + std::to_string(level) + " to node " +
                           std::to_string(link) + ", which ends at level " + std::to_string(graph.level(link)));
    offset += word_bytes + graph.level(id) * upper_list_bytes(header_.m);
  }
  if (header_.count > 0)
    expect(offsetof(FileHeader, max_level), "the highest level", static_cast<std::int64_t>(header_.max_level),
           static_cast<std::int64_t>(graph.level(header_.entry)));
}

}  // namespace

Graph load(FileReader& file, std::size_t dim, Metric metric, std::uint64_t seed) {
  return Loader(file, dim, metric, seed).load();
}

}  // namespace revector::hnsw
