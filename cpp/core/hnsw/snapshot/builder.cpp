#include <algorithm>
#include <utility>
#include <vector>

#include "core/hnsw/arguments.hpp"
#include "core/hnsw/bulk/build_all.hpp"
#include "core/hnsw/snapshot/write.hpp"
#include "core/thread_pool.hpp"
#include "revector/hnsw_snapshot.hpp"

namespace revector {
namespace {

constexpr std::size_t rows_a_piece = 256;

}  // namespace

struct SnapshotBuilder::Impl {
  Impl(std::size_t dim, Metric metric, HnswOptions options, std::size_t expected)
      : graph(dim, metric, options, false), expected(expected) {}

  hnsw::Graph graph;  // without nodes: the vectors lie where its first ones will be
  std::size_t expected;
  std::vector<std::int64_t> labels;
};

SnapshotBuilder::SnapshotBuilder(std::size_t dim, Metric metric, HnswOptions options, std::size_t expected)
    : impl_(std::make_unique<Impl>(dim, metric, hnsw::checked(dim, options), expected)) {}
SnapshotBuilder::~SnapshotBuilder() = default;
SnapshotBuilder::SnapshotBuilder(SnapshotBuilder&&) noexcept = default;
SnapshotBuilder& SnapshotBuilder::operator=(SnapshotBuilder&&) noexcept = default;

void SnapshotBuilder::add(MatrixView<const float> vectors, std::span<const std::int64_t> labels) {
  hnsw::Graph& graph = impl_->graph;
  hnsw::require_rows(vectors, graph.dim(), graph.metric(), "vectors");
  hnsw::require_labels(labels, vectors.rows());
  const std::size_t before = size();
  hnsw::require_room(labels.size(), before);
  graph.reserve(std::max(impl_->expected, before + labels.size()));
  impl_->labels.reserve(std::max(impl_->expected, before + labels.size()));
  parallel_for(labels.size(), rows_a_piece, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) graph.set_vector(static_cast<hnsw::NodeId>(before + i), vectors.row(i));
  });
  impl_->labels.insert(impl_->labels.end(), labels.begin(), labels.end());
}

void SnapshotBuilder::write(const std::string& path, const SnapshotOptions& options, BuildWatch* watch) {
  hnsw::Graph& graph = impl_->graph;
  Impl taken(graph.dim(), graph.metric(), graph.options(), 0);
  std::swap(taken, *impl_);
  hnsw::require_unique(taken.labels);
  hnsw::build_in_place(taken.graph, taken.labels, watch);
  hnsw::write_snapshot(taken.graph, path, options);
}

std::size_t SnapshotBuilder::size() const { return impl_->labels.size(); }

}  // namespace revector
