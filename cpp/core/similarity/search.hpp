/// @file
/// Exact search: candidates by products in a cheap number format, their true scores where the format leaves a doubt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/similarity/candidates.hpp"
#include "core/similarity/unit_rows_packed.hpp"
#include "revector/rows_view.hpp"

namespace revector {

constexpr float lowest_score = -2;  // below every cosine

/// What is searched for.
struct SearchRequest {
  RowsView queries;
  std::size_t k = 0;  ///< 0: everything from `floor` up
  float floor = lowest_score;
  std::span<const std::uint8_t> allowed;     ///< a byte for each document, 0 leaves it out; empty: all are allowed
  Precision precision = Precision::float32;  ///< float32: exact; others: as the products give it

  bool exact() const { return precision == Precision::float32; }
};

/// The format in which candidates are cheapest here for rows of this dimension; `asked` itself unless it is float32.
Precision candidate_precision(Precision asked, std::size_t dimension);

/// Score the documents of blocks [begin, end) for some blocks of queries; `found` has an entry for each query.
using Scan = std::function<void(std::size_t begin, std::size_t end, std::span<const UnitQueries> queries,
                                std::span<Candidates> found)>;

/// Block i of the documents, packed; `scratch` is one that the caller may fill and return.
using BlockAt = std::function<const UnitBlock&(std::size_t i, UnitBlock& scratch)>;

/// Scan packed blocks of n documents.
Scan scan_of_blocks(const SearchRequest& request, std::size_t n, BlockAt block);
/// Scan rows as they are: for a handful of queries, where packing costs more than it saves.
Scan scan_of_rows(const SearchRequest& request, RowsView documents);

/// How the work is shared out: each thread has some documents and all queries (so that a block is packed once), or all
/// documents and some queries (so that nothing has to be merged).
enum class Sharing { documents, queries };

/// Results of all queries, in order. @param documents  read for exact scores; n of them are searched
std::vector<Candidates> search(const SearchRequest& request, RowsView documents, std::size_t n, Precision format,
                               Sharing sharing, const Scan& scan);

}  // namespace revector
