/// @file
/// What Procrustes needs to know of the pairs, gathered in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "revector/matrix.hpp"

namespace revector {

/// First and second moments of pairs of rows (x, y).
///
/// Rows are shifted by the means of the first block: without a shift, centring would subtract two large sums of which
/// float32 products know only seven digits. Products are formed in float32 over at most 512 rows and summed in float64.
class PairMoments {
 public:
  PairMoments(std::size_t d_x, std::size_t d_y);

  /// Adds finite rows; both have as many.
  void add(MatrixView<const float> x, MatrixView<const float> y);

  std::uint64_t count() const { return n_; }
  std::size_t d_x() const { return shift_x_.size(); }
  std::size_t d_y() const { return shift_y_.size(); }
  std::vector<float> mean_x() const;
  std::vector<float> mean_y() const;
  /// X^T Y, [d_x x d_y], of the rows or (centered) of the rows minus their means.
  std::vector<double> cross(bool centered) const;
  /// X^T X, [d_x x d_x]. Gathered only where d_x > d_y, where a map cannot keep lengths.
  std::vector<double> gram(bool centered) const;
  /// ||X||_F^2 and ||Y||_F^2
  double squares_x(bool centered) const;
  double squares_y(bool centered) const;

 private:
  void add_some(MatrixView<const float> x, MatrixView<const float> y);

  std::uint64_t n_ = 0;
  std::vector<float> shift_x_, shift_y_;
  std::vector<double> sum_x_, sum_y_, cross_, gram_;  // of shifted rows
  double squares_x_ = 0, squares_y_ = 0;
};

}  // namespace revector
