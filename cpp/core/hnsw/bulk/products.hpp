/// @file
/// Scores of rows against packed rows, roughly.
#pragma once

#include <vector>

#include "core/kernels.hpp"
#include "core/packed_matrix.hpp"
#include "core/similarity/search.hpp"

namespace revector::hnsw {

/// Rows to be scored against. Scores are approximate (coarse, unless rows are too short for integers to tell them
/// apart) and "higher is better": products, or products less half the target's squared length, which order targets as
/// their distance from a row does.
class Targets {
 public:
  Targets() = default;
  Targets(MatrixView<const float> rows, bool by_distance)
      : packed_(PackedMatrix::from_transposed(rows, format_for(rows.cols()))) {
    if (!by_distance) return;
    for (std::size_t i = 0; i < rows.rows(); ++i)
      bias_.push_back(kernels::table().rows.dot(rows.row(i), rows.row(i), rows.cols()) / -2);
  }

  std::size_t size() const { return packed_.cols(); }
  ProductFormat format() const { return packed_.format(); }
  /// Columns that are scored together; see score().
  std::size_t panel_width() const { return packed_.format().kernels().panel_width; }
  /// scores[rows x size], or with fewer columns, a multiple of panel_width(): the first ones
  void score(const Operand& rows, MatrixView<float> scores) const {
    packed_.multiply(rows, bias_.empty() ? nullptr : bias_.data(), scores);
  }

 private:
  static ProductFormat format_for(std::size_t dim) {
    const Precision precise = candidate_precision(Precision::float32, dim);
    return precise == Precision::int8 ? ProductFormat::coarse() : precise;
  }

  PackedMatrix packed_;
  std::vector<float> bias_;
};

}  // namespace revector::hnsw
