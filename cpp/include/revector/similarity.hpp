/// @file
/// Cosine similarity: unit rows, exact top-k, and everything above a threshold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "revector/device.hpp"
#include "revector/export.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"
#include "revector/rows_view.hpp"

namespace revector {

/// Scale every row to unit L2 norm: out[i] = x[i] / ||x[i]||. A zero row stays zero.
/// Norms that leave the range of float32 are computed in float64, so every finite row is scaled correctly.
/// @param x    [n x d] of any element type, or float64
/// @param out  [n x d] float32, owned by the caller; may be x itself (float32)
/// @throws ShapeError if the shapes differ; NumericalError naming the first row with NaN or infinity
///         (rows of out are then unspecified). Thread-safe. Cost: one read and one write of the rows.
REVECTOR_API void normalize(RowsView x, MatrixView<float> out);
REVECTOR_API void normalize(MatrixView<const double> x, MatrixView<float> out);

/// What cosine_topk() may be told beside its arrays.
struct TopKOptions {
  /// float32: exact. bfloat16, int8: the scores that products of that format give, without a second look.
  Precision precision = Precision::float32;
  /// A byte for each document, 0 leaves it out; empty: all are searched.
  std::span<const std::uint8_t> allowed;
  /// cuda computes in float32 on the GPU: unit rows are made here, products and selection there; without `allowed`.
  Device device = Device::cpu;
};

/// The k documents of highest cosine similarity for every query. Best first; ties by lower index.
/// A zero row has similarity 0 to everything.
///
/// In float32 the results are exact: scores are cosines of the rows as given, computed in float64 and rounded once, and
/// no document with a higher one is missing. Candidates come from cheaper products whose error is bounded
/// (|u v - u' v'| <= ||u - u'|| ||v'|| + ||u|| ||v - v'||), and all that the bound leaves undecided are scored.
/// @param queries    [q x d]
/// @param documents  [n x d]
/// @param k          1 <= k <= n, and at most the number of documents that are allowed
/// @param scores     [q x k] owned by the caller
/// @param indices    [q x k] owned by the caller: row numbers of documents
/// @throws ShapeError, InvalidArgument (k), NumericalError (NaN or infinity in either; in documents that are searched),
///         DeviceUnavailable. Thread-safe. Cost: q*n*d multiplications, one read of the documents for every 4,096
///         queries. Memory: about 100 bytes * k a query and thread.
REVECTOR_API void cosine_topk(RowsView queries, RowsView documents, std::size_t k, MatrixView<float> scores,
                              MatrixView<std::int64_t> indices, const TopKOptions& options = {});

/// What a range search found: of query i the entries [offsets[i], offsets[i + 1]), best first.
struct RangeResults {
  std::vector<std::size_t> offsets;
  std::vector<float> scores;
  std::vector<std::int64_t> indices;
};

/// All documents whose cosine similarity is at least `threshold`, exactly as cosine_topk() computes it.
/// @param allowed  as in TopKOptions
/// @throws as cosine_topk(); InvalidArgument for a threshold that is NaN
REVECTOR_API RangeResults cosine_range(RowsView queries, RowsView documents, float threshold,
                                       std::span<const std::uint8_t> allowed = {});

}  // namespace revector
