/// @file
/// A right-hand side of products, packed once for the kernels in use.
#pragma once

#include <cstddef>

#include "core/aligned.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// B of C = A B. Immutable once made; multiply() may be called from several threads.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// B as it is: rows x cols.
  static PackedMatrix from_rows(MatrixView<const float> b);
  /// B is the transpose of what is given (a weight matrix of out x in, or documents).
  static PackedMatrix from_transposed(MatrixView<const float> b_transposed);

  /// c[m x cols] = a[m x rows] B + bias (cols floats, or null). On the calling thread.
  void multiply(MatrixView<const float> a, const float* bias, MatrixView<float> c) const;

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }

 private:
  PackedMatrix(std::size_t rows, std::size_t cols);

  std::size_t rows_ = 0, cols_ = 0;
  AlignedFloats panels_;
};

}  // namespace revector
