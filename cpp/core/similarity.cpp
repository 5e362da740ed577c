#include "revector/similarity.hpp"

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "core/checks.hpp"
#include "core/cuda_plugin.hpp"
#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"
#include "core/topk.hpp"
#include "core/unit_rows.hpp"
#include "kernels/dispatch.hpp"

namespace revector {
namespace {

constexpr std::size_t query_block = 4096;    // bounds the scores held at once: query_block * document_block floats
constexpr std::size_t document_block = 256;  // a packed block (256 x 384 floats) stays in L2

template <class T>
void normalize_range(const char* name, MatrixView<const T> x, MatrixView<float> out, std::size_t begin, std::size_t end,
                     std::size_t out_begin) {
  const kernels::RowKernels& rows = kernels::table().rows;
  for (std::size_t i = begin; i < end; ++i)
    if (!normalize_row(rows, x.row(i), out.row(out_begin + i - begin), x.cols())) throw_not_finite(name, i);
}

template <class T>
void normalize_rows(MatrixView<const T> x, MatrixView<float> out) {
  require_shape(out, x.rows(), x.cols(), "out");
  parallel_for(x.rows(), 1024,
               [&](std::size_t begin, std::size_t end) { normalize_range("x", x, out, begin, end, begin); });
}

void push_scores(const float* scores, std::size_t n, std::int64_t first_index, TopK& best) {
  float threshold = best.threshold();
  for (std::size_t i = 0; i < n; ++i) {
    if (scores[i] < threshold) continue;
    best.push({scores[i], first_index + static_cast<std::int64_t>(i)});
    threshold = best.threshold();
  }
}

/// Scores documents [begin, end) against unit queries and keeps the best of each query.
void search_block(MatrixView<const float> unit_queries, MatrixView<const float> documents, std::size_t begin,
                  std::size_t end, std::vector<TopK>& best) {
  const std::size_t n = end - begin, d = documents.cols();
  std::vector<float> unit(n * d), scores(unit_queries.rows() * n);
  normalize_range("documents", documents, MatrixView<float>(unit.data(), n, d), begin, end, 0);
  const PackedMatrix packed = PackedMatrix::from_transposed({unit.data(), n, d});
  packed.multiply(unit_queries, nullptr, MatrixView<float>(scores.data(), unit_queries.rows(), n));
  for (std::size_t q = 0; q < unit_queries.rows(); ++q)
    push_scores(scores.data() + q * n, n, static_cast<std::int64_t>(begin), best[q]);
}

void topk_of_block(MatrixView<const float> unit_queries, MatrixView<const float> documents, std::size_t k,
                   MatrixView<float> scores, MatrixView<std::int64_t> indices) {
  std::vector<TopK> best(unit_queries.rows(), TopK(k));
  std::mutex merging;
  parallel_for(documents.rows(), document_block * 16, [&](std::size_t begin, std::size_t end) {
    std::vector<TopK> local(unit_queries.rows(), TopK(k));
    for (std::size_t i = begin; i < end; i += document_block)
      search_block(unit_queries, documents, i, std::min(i + document_block, end), local);
    const std::scoped_lock lock(merging);
    for (std::size_t q = 0; q < local.size(); ++q)
      for (const Scored& entry : local[q].take()) best[q].push(entry);
  });
  for (std::size_t q = 0; q < best.size(); ++q) {
    const std::vector<Scored> found = best[q].take();
    for (std::size_t i = 0; i < k; ++i) {
      scores.row(q)[i] = found[i].score;
      indices.row(q)[i] = found[i].index;
    }
  }
}

/// All rows scaled to unit length, without gaps.
std::vector<float> unit_copy(const char* name, MatrixView<const float> x) {
  std::vector<float> unit(x.rows() * x.cols());
  const MatrixView<float> out(unit.data(), x.rows(), x.cols());
  parallel_for(x.rows(), 1024,
               [&](std::size_t begin, std::size_t end) { normalize_range(name, x, out, begin, end, begin); });
  return unit;
}

void topk_on_gpu(MatrixView<const float> queries, MatrixView<const float> documents, std::size_t k,
                 MatrixView<float> scores, MatrixView<std::int64_t> indices) {
  const cuda::PluginTable& plugin = cuda_plugin();
  require_equal(scores.stride(), k, "stride of scores");
  require_equal(indices.stride(), k, "stride of indices");
  const std::vector<float> unit_queries = unit_copy("queries", queries), unit_rows = unit_copy("documents", documents);
  require_ok(plugin.topk(unit_queries.data(), queries.rows(), unit_rows.data(), documents.rows(), documents.cols(), k,
                         scores.data(), indices.data()));
}

}  // namespace

void normalize(MatrixView<const float> x, MatrixView<float> out) { normalize_rows(x, out); }
void normalize(MatrixView<const double> x, MatrixView<float> out) { normalize_rows(x, out); }

void cosine_topk(MatrixView<const float> queries, MatrixView<const float> documents, std::size_t k,
                 MatrixView<float> scores, MatrixView<std::int64_t> indices, Device device) {
  require_equal(documents.cols(), queries.cols(), "columns of documents");
  if (k == 0 || k > documents.rows())
    throw InvalidArgument("k is " + std::to_string(k) + ", expected 1 to the number of documents, " +
                          std::to_string(documents.rows()));
  require_shape(scores, queries.rows(), k, "scores");
  require_shape(indices, queries.rows(), k, "indices");
  if (device == Device::cuda) return topk_on_gpu(queries, documents, k, scores, indices);
  std::vector<float> unit(std::min(queries.rows(), query_block) * queries.cols());
  for (std::size_t q = 0; q < queries.rows(); q += query_block) {
    const std::size_t end = std::min(q + query_block, queries.rows());
    const MatrixView<float> unit_queries(unit.data(), end - q, queries.cols());
    normalize_range("queries", queries, unit_queries, q, end, 0);
    topk_of_block(unit_queries, documents, k, scores.slice(q, end), indices.slice(q, end));
  }
}

}  // namespace revector
