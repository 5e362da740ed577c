/// @file
/// Documents packed once for many exact searches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "revector/export.hpp"
#include "revector/precision.hpp"
#include "revector/rows_view.hpp"
#include "revector/similarity.hpp"

namespace revector {

/// Exact cosine search over documents that are packed once. Immutable, so safe to share between threads.
///
/// Candidates come from int8 products (float32 where those are not faster, or for less than 64 dimensions) with a bound
/// on their error; what the bound leaves undecided is scored in float64. So the results are those of cosine_topk, at
/// the rate of the integer units. Memory: about d bytes a document beside the rows themselves.
class REVECTOR_API ExactIndex {
 public:
  /// @param documents  [n x d]. For Precision::float32 they are read again by every search: they must outlive the index
  ///                   and must not change. Otherwise they are not needed any more.
  /// @param precision  float32: exact results. bfloat16, int8: the scores that products of that format give.
  /// @throws NumericalError naming the first row with NaN or infinity; InvalidArgument (int8 of too many dimensions)
  explicit ExactIndex(RowsView documents, Precision precision = Precision::float32);
  ~ExactIndex();
  ExactIndex(ExactIndex&&) noexcept;
  ExactIndex& operator=(ExactIndex&&) noexcept;

  /// As cosine_topk().
  void search(RowsView queries, std::size_t k, MatrixView<float> scores, MatrixView<std::int64_t> indices,
              std::span<const std::uint8_t> allowed = {}) const;
  /// As cosine_range().
  RangeResults range(RowsView queries, float threshold, std::span<const std::uint8_t> allowed = {}) const;

  std::size_t size() const;
  std::size_t dimension() const;
  Precision precision() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
