/// @file
/// Cosine similarity: unit rows and exact top-k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "revector/device.hpp"
#include "revector/export.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// Scale every row to unit L2 norm: out[i] = x[i] / ||x[i]||. A zero row stays zero.
/// Norms that leave the range of float32 are computed in float64, so every finite row is scaled correctly.
/// @param x    [n x d] float32 or float64
/// @param out  [n x d] float32, owned by the caller; may be x itself (float32)
/// @throws ShapeError if the shapes differ; NumericalError naming the first row with NaN or infinity
///         (rows of out are then unspecified). Thread-safe. Cost: one read and one write of the rows.
REVECTOR_API void normalize(MatrixView<const float> x, MatrixView<float> out);
REVECTOR_API void normalize(MatrixView<const double> x, MatrixView<float> out);

/// The k documents of highest cosine similarity for every query, exactly. Best first; ties by lower index.
/// A zero row has similarity 0 to everything.
/// @param queries    [q x d]
/// @param documents  [n x d]
/// @param k          1 <= k <= n
/// @param scores     [q x k] owned by the caller
/// @param indices    [q x k] owned by the caller: row numbers of documents
/// @param device     Device::cuda computes on the GPU: unit rows are made here, products and selection there
/// @throws ShapeError, InvalidArgument (k), NumericalError (NaN or infinity in either), DeviceUnavailable. Thread-safe.
///         Cost: q*n*d FMA, n*d reads for every 4,096 queries.
REVECTOR_API void cosine_topk(MatrixView<const float> queries, MatrixView<const float> documents, std::size_t k,
                              MatrixView<float> scores, MatrixView<std::int64_t> indices, Device device = Device::cpu);

}  // namespace revector
