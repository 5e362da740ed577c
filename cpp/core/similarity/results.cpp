#include "core/similarity/results.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/checks.hpp"

namespace revector {

void require_searchable(const SearchRequest& request, std::size_t n, std::size_t dimension) {
  require_equal(request.queries.cols(), dimension, "columns of queries");
  if (!request.allowed.empty()) require_equal(request.allowed.size(), n, "elements of allowed");
  if (std::isnan(request.floor)) throw InvalidArgument("threshold is NaN, expected a number");
}

void require_results_fit(const SearchRequest& request, std::size_t n, MatrixView<float> scores,
                         MatrixView<std::int64_t> indices) {
  const auto is_set = [](std::uint8_t flag) { return flag != 0; };
  const std::size_t most =
      request.allowed.empty()
          ? n
          : static_cast<std::size_t>(std::count_if(request.allowed.begin(), request.allowed.end(), is_set));
  if (request.k == 0 || request.k > most)
    throw InvalidArgument("k is " + std::to_string(request.k) + ", expected 1 to the number of documents" +
                          (request.allowed.empty() ? ", " : " that are allowed, ") + std::to_string(most));
  require_shape(scores, request.queries.rows(), request.k, "scores");
  require_shape(indices, request.queries.rows(), request.k, "indices");
}

void write_topk(const std::vector<Candidates>& found, MatrixView<float> scores, MatrixView<std::int64_t> indices) {
  for (std::size_t q = 0; q < found.size(); ++q)
    for (std::size_t i = 0; i < scores.cols(); ++i) {
      scores.row(q)[i] = found[q].results()[i].score;
      indices.row(q)[i] = found[q].results()[i].index;
    }
}

RangeResults range_results(std::span<const std::span<const Scored>> found) {
  RangeResults out;
  out.offsets.push_back(0);
  for (const std::span<const Scored> query : found) {
    for (const Scored& entry : query) {
      out.scores.push_back(entry.score);
      out.indices.push_back(entry.index);
    }
    out.offsets.push_back(out.scores.size());
  }
  return out;
}

RangeResults range_results(const std::vector<Candidates>& found) {
  std::vector<std::span<const Scored>> results(found.size());
  std::transform(found.begin(), found.end(), results.begin(),
                 [](const Candidates& query) { return std::span(query.results()); });
  return range_results(results);
}

}  // namespace revector
