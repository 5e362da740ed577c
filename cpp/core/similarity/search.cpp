#include "core/similarity/search.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/checks.hpp"
#include "core/kernels.hpp"
#include "core/prefetch.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"
#include "revector/device.hpp"

namespace revector {
namespace {

constexpr std::size_t query_block = 128;          // with a block of documents: scores that stay in the second cache
constexpr std::size_t query_chunk = 4096;         // bounds the candidates held at once
constexpr std::size_t blocks_a_piece = 16;        // of documents, at most, between two looks at what others have found
constexpr std::size_t pieces_a_thread = 4;        // at least, so that threads end together
constexpr std::size_t least_int8_dimension = 64;  // below, int8's margin lets too many candidates pass

/// Cosines in float64, rounded once: the same on every instruction set and for every order of the work.
class ExactScores {
 public:
  ExactScores(RowsView queries, std::size_t query, RowsView documents)
      : rows_(kernels::table().rows),
        documents_(documents),
        read_query_(queries),
        read_(documents),
        query_(read_query_(query)) {
    double same = 0;
    rows_.exact_products(query_, query_, documents.cols(), &same, &squares_);
  }

  /// Begin to fetch a document that will soon be scored; they lie anywhere in memory.
  [[gnu::always_inline]] void expect(std::int64_t document) const {
    prefetch(documents_.row(static_cast<std::size_t>(document)), documents_.cols() * element_bytes(documents_.type()));
  }

  float operator()(std::int64_t document) {
    double product = 0, squares = 0;
    rows_.exact_products(query_, read_(static_cast<std::size_t>(document)), documents_.cols(), &product, &squares);
    return squares > 0 && squares_ > 0 ? static_cast<float>(product / std::sqrt(squares * squares_)) : 0.0F;
  }

 private:
  const kernels::RowKernels& rows_;
  RowsView documents_;
  RowReader read_query_, read_;
  const float* query_;
  double squares_ = 0;
};

bool allows(std::span<const std::uint8_t> allowed, std::size_t document) {
  return allowed.empty() || allowed[document] != 0;
}

bool allows_any(std::span<const std::uint8_t> allowed, std::size_t begin, std::size_t end) {
  return allowed.empty() ||
         std::any_of(allowed.begin() + static_cast<std::ptrdiff_t>(begin),
                     allowed.begin() + static_cast<std::ptrdiff_t>(end), [](std::uint8_t flag) { return flag != 0; });
}

/// Offers the scores of one query over the documents of a block, of which the first is `first`.
void offer_scores(const SearchRequest& request, const float* scores, const UnitBlock& block, float query_rounding,
                  std::size_t first, Candidates& found) {
  const auto margin = [&](float rounding) {
    return request.exact() ? score_margin(query_rounding, rounding, request.queries.cols()) : 0.0F;
  };
  std::uint32_t positions[block_documents];
  const float bar = found.bar() - margin(block.largest_rounding);
  const std::size_t count = kernels::table().rows.at_least(scores, block.rounding.size(), bar, positions);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t at = positions[i];
    if (allows(request.allowed, first + at))
      found.offer(scores[at], margin(block.rounding[at]), static_cast<std::int64_t>(first + at));
  }
}

void thin_out(const SearchRequest& request, RowsView documents, std::size_t query, Candidates& found) {
  if (!found.crowded()) return;
  if (request.exact())
    found.decide(ExactScores(request.queries, query, documents));
  else
    found.accept();
}

}  // namespace

Precision candidate_precision(Precision asked, std::size_t dimension) {
  constexpr std::size_t longest_int8 = 66'000;
  if (asked != Precision::float32) return asked;
  const bool fast = active_isa() != Isa::scalar;
  return fast && dimension >= least_int8_dimension && dimension <= longest_int8 ? Precision::int8 : Precision::float32;
}

Scan scan_of_blocks(const SearchRequest& request, std::size_t n, BlockAt block) {
  return [&request, n, block = std::move(block)](std::size_t begin, std::size_t end,
                                                 std::span<const UnitQueries> queries, std::span<Candidates> found) {
    UnitBlock scratch;
    AlignedFloats scores(query_block * block_documents);
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t first = b * block_documents, count = std::min(block_documents, n - first);
      if (!allows_any(request.allowed, first, first + count)) continue;
      const UnitBlock& packed = block(b, scratch);
      std::size_t query = 0;
      for (const UnitQueries& some : queries) {
        packed.panels.multiply(some.operand(), nullptr, MatrixView<float>(scores.data(), some.size(), count));
        for (std::size_t q = 0; q < some.size(); ++q, ++query)
          offer_scores(request, scores.data() + q * count, packed, some.rounding(q), first, found[query]);
      }
    }
  };
}

Scan scan_of_rows(const SearchRequest& request, RowsView documents) {
  return [&request, documents](std::size_t begin, std::size_t end, std::span<const UnitQueries> queries,
                               std::span<Candidates> found) {
    const kernels::RowKernels& rows = kernels::table().rows;
    const std::size_t d = documents.cols();
    const float margin = score_margin(0, 0, d);
    RowReader read(documents);
    std::vector<float> unit(d);
    for (std::size_t i = begin * block_documents; i < std::min(end * block_documents, documents.rows()); ++i) {
      if (!allows(request.allowed, i)) continue;
      const float* row = read(i);
      const float squares = rows.dot(row, row, d);
      const bool in_place = trustworthy_squares(squares);
      if (!in_place && !normalize_row(rows, row, unit.data(), d)) throw_not_finite("documents", i);
      const float factor = in_place ? 1 / std::sqrt(squares) : 1, *scored = in_place ? row : unit.data();
      std::size_t query = 0;
      for (const UnitQueries& some : queries)
        for (std::size_t q = 0; q < some.size(); ++q, ++query)
          found[query].offer(rows.dot(some.row(q), scored, d) * factor, margin, static_cast<std::int64_t>(i));
    }
  };
}

namespace {

/// The queries of one chunk with what is found for them.
class Chunk {
 public:
  Chunk(const SearchRequest& request, std::size_t begin, std::size_t end, Precision format)
      : request_(request), begin_(begin), found_(end - begin, Candidates(request.k, request.floor)) {
    for (std::size_t q = begin; q < end; q += query_block)
      queries_.emplace_back(request.queries, q, std::min(q + query_block, end), format);
  }

  /// Each thread takes documents; what it finds is merged under a lock, and raises the bar for all.
  void scan_by_documents(RowsView documents, std::size_t blocks, const Scan& scan) {
    std::mutex merging;
    const std::size_t piece = std::clamp<std::size_t>(blocks / (pieces_a_thread * num_threads()), 1, blocks_a_piece);
    parallel_for(blocks, piece, [&](std::size_t begin, std::size_t end) {
      std::vector<Candidates> local(found_.size(), Candidates(request_.k, request_.floor));
      {
        const std::scoped_lock lock(merging);
        for (std::size_t q = 0; q < local.size(); ++q) local[q].raise(found_[q].bar());
      }
      scan(begin, end, queries_, local);
      const std::scoped_lock lock(merging);
      for (std::size_t q = 0; q < local.size(); ++q) {
        found_[q].merge(local[q]);
        thin_out(request_, documents, begin_ + q, found_[q]);
      }
    });
    parallel_for(found_.size(), 16, [&](std::size_t begin, std::size_t end) { decide(documents, begin, end); });
  }

  /// Each thread takes a block of queries.
  void scan_by_queries(RowsView documents, std::size_t blocks, const Scan& scan) {
    parallel_for(queries_.size(), 1, [&](std::size_t i, std::size_t) {
      const std::size_t first = i * query_block;
      const std::span<Candidates> found = std::span(found_).subspan(first, queries_[i].size());
      for (std::size_t b = 0; b < blocks; b += blocks_a_piece) {
        scan(b, std::min(b + blocks_a_piece, blocks), std::span(queries_).subspan(i, 1), found);
        for (std::size_t q = 0; q < found.size(); ++q) thin_out(request_, documents, begin_ + first + q, found[q]);
      }
      decide(documents, first, first + found.size());
    });
  }

  std::size_t query_blocks() const { return queries_.size(); }
  std::vector<Candidates> take() { return std::move(found_); }

 private:
  void decide(RowsView documents, std::size_t begin, std::size_t end) {
    for (std::size_t q = begin; q < end; ++q)
      if (request_.exact())
        found_[q].decide(ExactScores(request_.queries, begin_ + q, documents));
      else
        found_[q].accept();
  }

  const SearchRequest& request_;
  std::size_t begin_;
  std::vector<UnitQueries> queries_;
  std::vector<Candidates> found_;
};

}  // namespace

std::vector<Candidates> search(const SearchRequest& request, RowsView documents, std::size_t n, Precision format,
                               Sharing sharing, const Scan& scan) {
  const std::size_t blocks = (n + block_documents - 1) / block_documents;
  std::vector<Candidates> results;
  results.reserve(request.queries.rows());
  for (std::size_t q = 0; q < request.queries.rows(); q += query_chunk) {
    Chunk chunk(request, q, std::min(q + query_chunk, request.queries.rows()), format);
    const bool enough = chunk.query_blocks() >= 2 * num_threads() || num_threads() == 1;
    if (sharing == Sharing::queries && enough)
      chunk.scan_by_queries(documents, blocks, scan);
    else
      chunk.scan_by_documents(documents, blocks, scan);
    for (Candidates& found : chunk.take()) results.push_back(std::move(found));
  }
  return results;
}

}  // namespace revector
