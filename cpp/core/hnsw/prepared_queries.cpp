#include "core/hnsw/prepared_queries.hpp"

#include "core/hnsw/graph.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {

PreparedQueries::PreparedQueries(Metric metric, MatrixView<const float> queries) : rows_(queries) {
  constexpr std::size_t grain = 64;
  if (metric != Metric::cosine) return;
  const std::size_t d = queries.cols();
  copies_.resize(queries.rows() * d);
  parallel_for(queries.rows(), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) prepare_row(metric, queries.row(i), copies_.data() + i * d, d);
  });
  rows_ = {copies_.data(), queries.rows(), d};
}

}  // namespace revector::hnsw
