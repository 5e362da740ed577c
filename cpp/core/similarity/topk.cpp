#include <vector>

#include "core/checks.hpp"
#include "core/cuda_plugin.hpp"
#include "core/similarity/results.hpp"
#include "core/similarity/search.hpp"
#include "revector/similarity.hpp"

namespace revector {
namespace {

constexpr std::size_t few_queries = 6;  // up to here dot products from memory are cheaper than packing

/// Packs each block when its turn comes.
BlockAt packed_on_the_way(RowsView documents, Precision format) {
  return [documents, format](std::size_t i, UnitBlock& scratch) -> const UnitBlock& {
    thread_local AlignedFloats memory;
    RowReader read(documents);
    const std::size_t begin = i * block_documents, end = std::min(begin + block_documents, documents.rows());
    scratch = UnitBlock::pack(read, documents.cols(), begin, end, format, memory);
    return scratch;
  };
}

std::vector<Candidates> search_once(const SearchRequest& request, RowsView documents) {
  const bool directly = request.exact() && request.queries.rows() <= few_queries;
  const Precision format = directly ? Precision::float32 : candidate_precision(request.precision, documents.cols());
  const Scan scan = directly ? scan_of_rows(request, documents)
                             : scan_of_blocks(request, documents.rows(), packed_on_the_way(documents, format));
  return search(request, documents, documents.rows(), format, Sharing::documents, scan);
}

/// Rows of any type as unit rows without gaps.
std::vector<float> unit_copy(RowsView x) {
  std::vector<float> unit(x.rows() * x.cols());
  normalize(x, MatrixView<float>(unit.data(), x.rows(), x.cols()));
  return unit;
}

void topk_on_gpu(RowsView queries, RowsView documents, std::size_t k, MatrixView<float> scores,
                 MatrixView<std::int64_t> indices) {
  const cuda::PluginTable& plugin = cuda_plugin();
  require_equal(scores.stride(), k, "stride of scores");
  require_equal(indices.stride(), k, "stride of indices");
  const std::vector<float> unit_queries = unit_copy(queries), unit_rows = unit_copy(documents);
  require_ok(plugin.topk(unit_queries.data(), queries.rows(), unit_rows.data(), documents.rows(), documents.cols(), k,
                         scores.data(), indices.data()));
}

}  // namespace

void cosine_topk(RowsView queries, RowsView documents, std::size_t k, MatrixView<float> scores,
                 MatrixView<std::int64_t> indices, const TopKOptions& options) {
  const SearchRequest request{queries, k, lowest_score, options.allowed, options.precision};
  require_searchable(request, documents.rows(), documents.cols());
  require_results_fit(request, documents.rows(), scores, indices);
  if (options.device == Device::cpu) return write_topk(search_once(request, documents), scores, indices);
  if (!options.allowed.empty() || !request.exact())
    throw InvalidArgument(
        "on the GPU documents are searched in float32 and all of them; leave out allowed and precision");
  topk_on_gpu(queries, documents, k, scores, indices);
}

RangeResults cosine_range(RowsView queries, RowsView documents, float threshold,
                          std::span<const std::uint8_t> allowed) {
  const SearchRequest request{queries, 0, threshold, allowed, Precision::float32};
  require_searchable(request, documents.rows(), documents.cols());
  return range_results(search_once(request, documents));
}

}  // namespace revector
