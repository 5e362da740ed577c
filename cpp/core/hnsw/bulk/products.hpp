/// @file
/// Scores of rows against packed rows, in the number format that is fastest here.
#pragma once

#include <vector>

#include "core/packed_matrix.hpp"
#include "core/similarity/search.hpp"
#include "kernels/dispatch.hpp"

namespace revector::hnsw {

/// Rows to be scored against. Scores are approximate (int8 where it is fast) and "higher is better": products, or
/// products less half the target's squared length, which order targets as their distance from a row does.
class Targets {
 public:
  Targets() = default;
  Targets(MatrixView<const float> rows, bool by_distance)
      : packed_(PackedMatrix::from_transposed(rows, candidate_precision(Precision::float32, rows.cols()))) {
    if (!by_distance) return;
    for (std::size_t i = 0; i < rows.rows(); ++i)
      bias_.push_back(kernels::table().rows.dot(rows.row(i), rows.row(i), rows.cols()) / -2);
  }

  std::size_t size() const { return packed_.cols(); }
  Precision precision() const { return packed_.precision(); }
  /// scores[rows x size]
  void score(const Operand& rows, MatrixView<float> scores) const {
    packed_.multiply(rows, bias_.empty() ? nullptr : bias_.data(), scores);
  }

 private:
  PackedMatrix packed_;
  std::vector<float> bias_;
};

}  // namespace revector::hnsw
