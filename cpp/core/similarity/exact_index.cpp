#include "revector/exact_index.hpp"

#include <algorithm>
#include <vector>

#include "core/similarity/results.hpp"
#include "core/similarity/search.hpp"
#include "core/thread_pool.hpp"

namespace revector {

struct ExactIndex::Impl {
  RowsView documents;
  Precision precision, format;
  std::vector<UnitBlock> blocks;

  std::vector<Candidates> search(const SearchRequest& request) const {
    const BlockAt packed = [this](std::size_t i, UnitBlock&) -> const UnitBlock& { return blocks[i]; };
    return revector::search(request, documents, documents.rows(), format, Sharing::queries,
                            scan_of_blocks(request, documents.rows(), packed));
  }
};

ExactIndex::ExactIndex(RowsView documents, Precision precision)
    : impl_(new Impl{documents, precision, candidate_precision(precision, documents.cols()), {}}) {
  const std::size_t n = documents.rows();
  impl_->blocks.resize((n + block_documents - 1) / block_documents);
  parallel_for(impl_->blocks.size(), 16, [&](std::size_t begin, std::size_t end) {
    RowReader read(documents);
    AlignedFloats memory;
    for (std::size_t b = begin; b < end; ++b)
      impl_->blocks[b] = UnitBlock::pack(read, documents.cols(), b * block_documents,
                                         std::min((b + 1) * block_documents, n), impl_->format, memory);
  });
}

ExactIndex::~ExactIndex() = default;
ExactIndex::ExactIndex(ExactIndex&&) noexcept = default;
ExactIndex& ExactIndex::operator=(ExactIndex&&) noexcept = default;

void ExactIndex::search(RowsView queries, std::size_t k, MatrixView<float> scores, MatrixView<std::int64_t> indices,
                        std::span<const std::uint8_t> allowed) const {
  const SearchRequest request{queries, k, lowest_score, allowed, impl_->precision};
  require_searchable(request, size(), dimension());
  require_results_fit(request, size(), scores, indices);
  write_topk(impl_->search(request), scores, indices);
}

RangeResults ExactIndex::range(RowsView queries, float threshold, std::span<const std::uint8_t> allowed) const {
  const SearchRequest request{queries, 0, threshold, allowed, impl_->precision};
  require_searchable(request, size(), dimension());
  return range_results(impl_->search(request));
}

std::size_t ExactIndex::size() const { return impl_->documents.rows(); }
std::size_t ExactIndex::dimension() const { return impl_->documents.cols(); }
Precision ExactIndex::precision() const { return impl_->precision; }

}  // namespace revector
