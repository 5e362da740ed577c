#include "core/hnsw/writer.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "core/hnsw/arguments.hpp"
#include "core/hnsw/build.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t serial_nodes = 256;       // threads that start in an empty graph would not see each other's nodes
constexpr std::size_t insert_grain = 8;         // rows; one takes about 0.1 to 1 ms
constexpr std::size_t added_at_a_time = 512;    // rows that searches wait for while they are copied: about 1 ms
constexpr std::size_t replaced_at_a_time = 64;  // with more, repairs would follow links that mean nothing any more

/// A row of add() and the node it goes to.
struct Placement {
  std::size_t row;
  NodeId node;
};

/// Of several rows for one label the last, in the order in which labels occur first.
std::vector<std::size_t> last_rows(std::span<const std::int64_t> labels) {
  std::vector<std::size_t> rows;
  std::unordered_map<std::int64_t, std::size_t> position;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto [found, is_new] = position.emplace(labels[row], rows.size());
    if (is_new)
      rows.push_back(row);
    else
      rows[found->second] = row;
  }
  return rows;
}

/// One call of add().
class Addition {
 public:
  Addition(SharedGraph& shared, MatrixView<const float> vectors, std::span<const std::int64_t> labels)
      : shared_(shared),
        graph_(shared.graph),
        builder_(shared.graph, shared.locks, shared.scratches),
        vectors_(vectors),
        labels_(labels),
        old_size_(graph_.size()),
        old_entry_(graph_.entry) {
    for (std::size_t row : last_rows(labels))
      if (const auto node = graph_.find(labels[row]))
        replaced_.push_back({row, *node});
      else
        added_.push_back(row);
  }

  void run() {
    try {
      in_slices<std::size_t>(added_, added_at_a_time, [this](auto rows) { append(rows); });
      in_slices<Placement>(replaced_, replaced_at_a_time, [this](auto placements) { replace(placements); });
    } catch (...) {
      const auto alone = shared_.gate.write();
      graph_.truncate(old_size_);
      graph_.entry = old_entry_;
      shared_.linking = false;
      throw;
    }
    const auto alone = shared_.gate.write();
    shared_.linking = false;
  }

 private:
  template <class T, class Body>
  static void in_slices(std::span<const T> all, std::size_t at_a_time, const Body& body) {
    for (; !all.empty(); all = all.subspan(std::min(all.size(), at_a_time)))
      body(all.first(std::min(all.size(), at_a_time)));
  }

  void append(std::span<const std::size_t> rows) {
    const std::size_t begin = graph_.size();
    {
      const auto alone = shared_.gate.write();
      shared_.linking = true;
      for (std::size_t row : rows) {
        const NodeId node = graph_.append(labels_[row], graph_.draw_level(static_cast<NodeId>(graph_.size())));
        graph_.set_vector(node, vectors_.row(row));
      }
      if (begin == 0) graph_.entry = {0, graph_.level(0)};
    }
    link(std::max<std::size_t>(begin, 1));
  }

  void link(std::size_t next) {
    const std::size_t end = graph_.size();
    for (; next < std::min(end, serial_nodes); ++next) builder_.insert(static_cast<NodeId>(next));
    if (next >= end) return;
    parallel_for(end - next, insert_grain, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) builder_.insert(static_cast<NodeId>(next + i));
    });
  }

  void replace(std::span<const Placement> placements) {
    {
      const auto alone = shared_.gate.write();
      shared_.linking = true;
      for (const Placement& one : placements) {
        graph_.set_vector(one.node, vectors_.row(one.row));
        graph_.set_deleted(one.node, false);
      }
    }
    parallel_for(placements.size(), 1, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) builder_.repair(placements[i].node);
    });
  }

  SharedGraph& shared_;
  Graph& graph_;
  Builder builder_;
  MatrixView<const float> vectors_;
  std::span<const std::int64_t> labels_;
  std::size_t old_size_;
  Entry old_entry_;
  std::vector<std::size_t> added_;
  std::vector<Placement> replaced_;
};

}  // namespace

void add(SharedGraph& shared, MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
  const std::scoped_lock only_writer(shared.writer);
  require_room(labels.size(), shared.graph.size());
  Addition(shared, vectors, labels).run();
}

}  // namespace revector::hnsw
