/// @file
/// The two sides of a product in a number format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned.hpp"
#include "core/product_format.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// Some of the k of a product.
using Channels = std::span<const std::uint32_t>;

/// Rows of A of C = A B, as the kernels of a format read them. Holds the memory of one thread. In float32 rows are
/// read where they are; in the other formats they are converted into this object's memory.
class Operand {
 public:
  /// For up to `max_rows` rows of up to `max_width` elements.
  Operand(ProductFormat format, std::size_t max_rows, std::size_t max_width);

  /// Be these rows. In float32 they must outlive the products.
  /// @param apart  channels that are 0 in the rows of the product and kept in float32; see apart()
  void assign(MatrixView<const float> x, Channels apart = {});
  /// Be these rows behind a function that works in place, row by row while each is in the first cache.
  void assign(MatrixView<float> x, void (*function)(float* row, std::size_t n), Channels apart = {});

  /// Be some rows of another operand of the same format and width, none of whose channels are set apart.
  void gather(const Operand& from, std::span<const std::uint32_t> rows);

  const void* data() const { return data_; }
  std::size_t stride() const { return stride_; }  ///< in bytes
  std::size_t rows() const { return rows_; }
  /// [rows x channels set apart]
  MatrixView<const float> apart() const { return {apart_.data(), rows_, channels_.size()}; }

 private:
  void reserve_rows(MatrixView<const float> x, Channels apart);
  const float* set_apart(const float* row, std::size_t n, std::size_t i);
  void convert_row(MatrixView<const float> x, std::size_t i);

  ProductFormat format_;
  AlignedBytes memory_;  // empty in float32
  Channels channels_;
  std::vector<float> apart_, rest_;  // of all rows, and one row without it
  const void* data_ = nullptr;
  std::size_t rows_ = 0, stride_ = 0;
};

/// B of C = A B. Immutable once made; multiply() may be called from several threads.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// B as it is: rows x cols.
  /// @throws InvalidArgument for an int8 B of more than 66,311 rows, whose sums may not fit 32 bits
  static PackedMatrix from_rows(MatrixView<const float> b, ProductFormat format = Precision::float32);
  /// B is the transpose of what is given (a weight matrix of out x in, or documents).
  static PackedMatrix from_transposed(MatrixView<const float> b_transposed, ProductFormat format = Precision::float32);

  /// c[m x cols] = a[m x rows] B + bias (cols floats, or null). On the calling thread. Both sides are of one format.
  /// c may have fewer columns, a multiple of the panels' width, and gets the first ones of B.
  /// @param apart  [channels x cols]: the rows of B for the channels that `a` sets apart, which are 0 in B
  void multiply(const Operand& a, const float* bias, MatrixView<float> c, const float* apart = nullptr) const;
  /// The same for a B of float32, without an Operand.
  void multiply(MatrixView<const float> a, const float* bias, MatrixView<float> c) const;

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  ProductFormat format() const { return format_; }

 private:
  PackedMatrix(std::size_t rows, std::size_t cols, ProductFormat format);

  std::size_t rows_ = 0, cols_ = 0;
  ProductFormat format_ = Precision::float32;
  AlignedBytes panels_;
};

}  // namespace revector
