#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/file_reader.hpp"
#include "core/hnsw/faiss_kinds.hpp"
#include "core/hnsw/file.hpp"
#include "revector/errors.hpp"

namespace revector::hnsw {
namespace {

constexpr float unit_within = 1e-3F;  // of the squared length: far more than rounding to float32 does
constexpr std::size_t most_levels = 255;

/// Four letters that say what kind of index follows.
std::string letters(std::uint32_t code) {
  std::string text(sizeof(code), ' ');
  std::memcpy(text.data(), &code, sizeof(code));
  return text;
}

/// A list, and where it starts in the file.
template <class T>
struct List {
  std::uint64_t offset;
  std::vector<T> values;

  std::size_t size() const { return values.size(); }
  const T& operator[](std::size_t i) const { return values[i]; }
  std::uint64_t offset_of(std::size_t i) const { return offset + i * sizeof(T); }
};

/// Reads what faiss.write_index writes of an IndexHNSWFlat, alone or in an IndexIDMap: the kind and the sizes; the
/// lists `assign_probas`, `cum_nneighbor_per_level`, `levels`, `offsets` and `neighbors`; the entry point and
/// parameters of search; the vectors; the labels. Lists start with their length in 64 bits. Nodes lie in all levels
/// below their number of levels; their lists follow each other, level 0 first, and are filled up with -1.
class FaissLoader {
 public:
  FaissLoader(const std::string& path, std::optional<Metric> metric, std::uint64_t seed)
      : file_(path), wanted_(metric), seed_(seed) {}

  Graph load() {
    const bool has_labels = enter_id_map();
    read_header();
    read_graph();
    Graph graph(dim_, metric(), {m_, std::max<std::size_t>(ef_construction_, m_), seed_});
    const List<float> vectors = read_vectors();
    const std::vector<std::int64_t> labels = has_labels ? read_labels() : first_labels();
    if (file_.left() != 0) file_.fail(file_.offset(), std::to_string(file_.left()) + " bytes too many");
    fill(graph, vectors, labels);
    return graph;
  }

 private:
  struct Header {
    std::uint64_t offset;
    std::int32_t dim, metric;
    std::int64_t count;
  };

  /// Every kind that faiss writes begins with an I; of one that is newer than our table the letters have to do.
  [[noreturn]] void refuse(std::uint64_t offset, const std::string& kind) const {
    const std::string_view name = faiss_kind(kind);
    if (name.empty() && (kind[0] != 'I' || printable(kind) != kind))
      file_.refuse(offset, "'" + printable(kind) + "', which nothing that faiss writes begins with");
    file_.refuse(offset, "an index of faiss of the kind '" + kind + "' (" +
                             (name.empty() ? "which is not known here" : std::string(name)) +
                             ") is not supported, expected IndexHNSWFlat ('IHNf'), alone or in an IndexIDMap ('IxMp', "
                             "'IxM2'); get its vectors with reconstruct_n() and build an index of them");
  }
  void support(bool holds, std::uint64_t offset, const std::string& reason) const {
    if (!holds) file_.refuse(offset, reason);
  }
  void expect(bool holds, std::uint64_t offset, const std::string& reason) const {
    if (!holds) file_.fail(offset, reason);
  }

  /// What every kind begins with after its letters.
  Header read_sizes() {
    Header header{file_.offset(), file_.read<std::int32_t>(), 0, file_.read<std::int64_t>()};
    file_.read<std::int64_t>();  // two numbers that mean nothing
    file_.read<std::int64_t>();
    file_.read<std::uint8_t>();  // whether it is trained, which a graph needs not be
    header.metric = file_.read<std::int32_t>();
    return header;
  }

  bool enter_id_map() {
    const std::string kind = letters(file_.read<std::uint32_t>());
    if (kind == "IHNf") return false;
    if (kind != "IxMp" && kind != "IxM2") refuse(0, kind);
    read_sizes();
    const std::uint64_t offset = file_.offset();
    const std::string inner = letters(file_.read<std::uint32_t>());
    if (inner != "IHNf") refuse(offset, inner);
    return true;
  }

  void read_header() {
    const Header header = read_sizes();
    expect(header.dim >= 1, header.offset, "vectors of " + std::to_string(header.dim) + " dimensions");
    support(
        static_cast<std::size_t>(header.dim) <= Graph::max_dim, header.offset,
        "vectors of " + std::to_string(header.dim) + " dimensions, expected at most " + std::to_string(Graph::max_dim));
    dim_ = static_cast<std::size_t>(header.dim);
    expect(header.count >= 0 && static_cast<std::uint64_t>(header.count) <= file_.left() / (dim_ * sizeof(float)),
           header.offset, "the file is too short for " + std::to_string(header.count) + " vectors");
    count_ = static_cast<std::size_t>(header.count);
    support(count_ <= Graph::max_nodes, header.offset, std::to_string(count_) + " vectors, too many to be numbered");
    support(header.metric == 0 || header.metric == 1, header.offset,
            "the metric " + std::to_string(header.metric) +
                " of faiss is not supported, expected 0 (inner product) or 1 (L2)");
    own_metric_ = header.metric == 0 ? Metric::inner_product : Metric::l2;
    metric();  // whether it suits the caller is known already
  }

  /// @throws InvalidArgument if the caller wants what the file does not have
  Metric metric() const {
    if (!wanted_ || *wanted_ == Metric::cosine || *wanted_ == own_metric_) return wanted_.value_or(own_metric_);
    throw InvalidArgument(std::string("the file's metric is ") + (own_metric_ == Metric::l2 ? "L2" : "inner product") +
                          ", expected the one asked for; leave it out, or ask for cosine if the vectors are of unit "
                          "length");
  }

  template <class T>
  List<T> read_list(const char* name) {
    const std::uint64_t offset = file_.offset();
    const auto n = file_.read<std::uint64_t>();
    expect(n <= file_.left() / sizeof(T), offset, std::to_string(n) + " " + name + ", more than the file holds");
    List<T> list{file_.offset(), std::vector<T>(n)};
    file_.read(list.values.data(), n * sizeof(T));
    return list;
  }

  void read_graph() {
    read_list<double>("probabilities of levels");
    room_ = read_list<std::int32_t>("sizes of levels");
    check_room();
    levels_ = read_list<std::int32_t>("levels");
    starts_ = read_list<std::uint64_t>("starts of lists");
    links_ = read_list<std::int32_t>("links");
    check_lists();
    const std::uint64_t offset = file_.offset();
    entry_ = file_.read<std::int32_t>();
    const auto top = file_.read<std::int32_t>();
    const auto construction = file_.read<std::int32_t>();
    file_.read<std::int32_t>();  // efSearch
    file_.read<std::int32_t>();  // the beam of upper levels, always 1
    expect(construction >= 1, offset, "efConstruction is " + std::to_string(construction));
    ef_construction_ = static_cast<std::size_t>(construction);
    if (count_ == 0) return;
    expect(entry_ >= 0 && static_cast<std::size_t>(entry_) < count_, offset,
           "the entry point is node " + std::to_string(entry_) + " of " + std::to_string(count_));
    const std::int32_t highest = *std::max_element(levels_.values.begin(), levels_.values.end());
    expect(top + 1 == highest && levels_[static_cast<std::size_t>(entry_)] == highest, offset,
           "the entry point is not of the highest level");
  }

  /// Links up to a level: 0, 2 M, 3 M, ...
  void check_room() {
    expect(room_.size() >= 3 && room_.size() <= most_levels + 1, room_.offset,
           std::to_string(room_.size()) + " sizes of levels, expected 3 to 256");
    const std::int64_t m = std::int64_t{room_[2]} - room_[1];
    expect(m >= 2 && m <= static_cast<std::int64_t>(Graph::max_m), room_.offset,
           "M is " + std::to_string(m) + ", expected 2 to " + std::to_string(Graph::max_m));
    for (std::size_t level = 0; level < room_.size(); ++level)
      expect(room_[level] == (level == 0 ? 0 : m * static_cast<std::int64_t>(level + 1)), room_.offset_of(level),
             "lists of other sizes than 2 M at level 0 and M above");
    m_ = static_cast<std::size_t>(m);
  }

  void check_lists() const {
    expect(levels_.size() == count_ && starts_.size() == count_ + 1, levels_.offset,
           std::to_string(levels_.size()) + " levels and " + std::to_string(starts_.size()) + " starts of lists for " +
               std::to_string(count_) + " vectors");
    expect(starts_[0] == 0 && starts_[count_] == links_.size(), starts_.offset, "the lists do not fill the links");
    for (std::size_t i = 0; i < count_; ++i) {
      expect(levels_[i] >= 1 && static_cast<std::size_t>(levels_[i]) < room_.size(), levels_.offset_of(i),
             "node " + std::to_string(i) + " is in " + std::to_string(levels_[i]) + " levels");
      expect(starts_[i + 1] - starts_[i] == static_cast<std::uint64_t>(room_[static_cast<std::size_t>(levels_[i])]),
             starts_.offset_of(i), "the lists of node " + std::to_string(i) + " are not as long as its levels say");
    }
  }

  List<float> read_vectors() {
    const std::uint64_t offset = file_.offset();
    const std::string kind = letters(file_.read<std::uint32_t>());  // 'IxFl' in old files
    if (kind != "IxFI" && kind != "IxF2" && kind != "IxFl") refuse(offset, kind);
    const Header header = read_sizes();
    expect(static_cast<std::size_t>(header.dim) == dim_ && static_cast<std::size_t>(header.count) == count_,
           header.offset, "the vectors are others than those of the graph");
    List<float> vectors = read_list<float>("numbers");
    expect(vectors.size() == count_ * dim_, vectors.offset,
           std::to_string(vectors.size()) + " numbers for " + std::to_string(count_) + " vectors");
    for (std::size_t i = 0; i < count_; ++i) check_vector(vectors, i);
    return vectors;
  }

  void check_vector(const List<float>& vectors, std::size_t i) const {
    const float* row = vectors.values.data() + i * dim_;
    const std::uint64_t offset = vectors.offset_of(i * dim_);
    expect(is_measurable(row, dim_), offset, "a vector with NaN, infinity or numbers whose squares overflow");
    const float squared = -Distance(Metric::inner_product, dim_)(row, row);
    if (wanted_ == Metric::cosine && squared != 0 && !(std::abs(squared - 1) <= unit_within))
      throw InvalidArgument("vector " + std::to_string(i) + " has the length " + std::to_string(std::sqrt(squared)) +
                            ", expected 1 for the metric cosine; load the index with its own metric");
  }

  std::vector<std::int64_t> read_labels() {
    List<std::int64_t> labels = read_list<std::int64_t>("ids");
    expect(labels.size() == count_, labels.offset,
           std::to_string(labels.size()) + " ids for " + std::to_string(count_) + " vectors");
    std::unordered_set<std::int64_t> seen;
    for (std::size_t i = 0; i < count_; ++i) {
      support(labels[i] >= 0, labels.offset_of(i), "id " + std::to_string(labels[i]) + ", expected 0 or more");
      support(seen.insert(labels[i]).second, labels.offset_of(i),
              "id " + std::to_string(labels[i]) + " occurs twice, expected each once");
    }
    return std::move(labels.values);
  }

  std::vector<std::int64_t> first_labels() const {
    std::vector<std::int64_t> labels(count_);
    for (std::size_t i = 0; i < count_; ++i) labels[i] = static_cast<std::int64_t>(i);
    return labels;
  }

  void fill(Graph& graph, const List<float>& vectors, const std::vector<std::int64_t>& labels) const {
    graph.reserve(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      const NodeId id = graph.append(labels[i], static_cast<std::size_t>(levels_[i]) - 1);
      graph.set_vector(id, vectors.values.data() + i * dim_);
      for (std::size_t level = 0; level <= graph.level(id); ++level) set_links(graph, id, level);
    }
    if (count_ > 0) graph.entry = {static_cast<NodeId>(entry_), graph.level(static_cast<NodeId>(entry_))};
  }

  void set_links(Graph& graph, NodeId id, std::size_t level) const {
    const std::size_t begin = starts_[id] + static_cast<std::size_t>(room_[level]), end = begin + graph.capacity(level);
    std::vector<NodeId> found;
    for (std::size_t i = begin; i < end && links_[i] != -1; ++i) {
      const auto link = static_cast<std::size_t>(links_[i]);
      expect(links_[i] >= 0 && link<count_&& static_cast<std::size_t>(levels_[link])> level, links_.offset_of(i),
             "node " + std::to_string(id) + " has a link of level " + std::to_string(level) + " to node " +
                 std::to_string(links_[i]) + ", which is not there");
      found.push_back(static_cast<NodeId>(link));
    }
    graph.set_links(id, level, found);
  }

  FileReader file_;
  std::optional<Metric> wanted_;
  std::uint64_t seed_;
  Metric own_metric_ = Metric::l2;
  std::size_t dim_ = 0, count_ = 0, m_ = 0, ef_construction_ = 0;
  std::int32_t entry_ = -1;
  List<std::int32_t> room_{}, levels_{}, links_{};
  List<std::uint64_t> starts_{};
};

}  // namespace

Graph load_faiss(const std::string& path, std::optional<Metric> metric, std::uint64_t seed) {
  return FaissLoader(path, metric, seed).load();
}

}  // namespace revector::hnsw
