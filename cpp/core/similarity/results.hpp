/// @file
/// What every search checks first and writes last.
#pragma once

#include <span>
#include <vector>

#include "core/similarity/search.hpp"
#include "revector/similarity.hpp"

namespace revector {

/// @throws ShapeError (columns, size of `allowed`), InvalidArgument (threshold that is NaN)
void require_searchable(const SearchRequest& request, std::size_t n, std::size_t dimension);

/// @throws InvalidArgument unless 1 <= k <= documents that may be found; ShapeError (scores, indices)
void require_results_fit(const SearchRequest& request, std::size_t n, MatrixView<float> scores,
                         MatrixView<std::int64_t> indices);

void write_topk(const std::vector<Candidates>& found, MatrixView<float> scores, MatrixView<std::int64_t> indices);
/// Results of each query, best first, one after the other.
RangeResults range_results(std::span<const std::span<const Scored>> found);
RangeResults range_results(const std::vector<Candidates>& found);

}  // namespace revector
