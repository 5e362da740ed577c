/// @file
/// A view of rows of any element type that somebody else owns.
#pragma once

#include <cstddef>

#include "revector/matrix.hpp"

namespace revector {

/// How the elements of rows are stored.
enum class ElementType { float32, float16, bfloat16, int8 };

/// Bytes of an element.
constexpr std::size_t element_bytes(ElementType type) {
  return type == ElementType::float32 ? 4 : type == ElementType::int8 ? 1 : 2;
}

/// Row-major matrix that is not owned, of an element type known at run time. The elements of a row are contiguous.
/// The memory must outlive the call that takes the view, unless that says more.
class RowsView {
 public:
  constexpr RowsView() = default;
  /// @param stride  elements between the starts of two rows, at least cols
  constexpr RowsView(const void* data, ElementType type, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), type_(type), rows_(rows), cols_(cols), stride_(stride) {}
  constexpr RowsView(const float* data, std::size_t rows, std::size_t cols)
      : RowsView(data, ElementType::float32, rows, cols, cols) {}
  constexpr RowsView(MatrixView<const float> x)  // NOLINT(google-explicit-constructor): a view like any other
      : RowsView(x.data(), ElementType::float32, x.rows(), x.cols(), x.stride()) {}
  constexpr RowsView(MatrixView<float> x)  // NOLINT(google-explicit-constructor)
      : RowsView(MatrixView<const float>(x)) {}

  constexpr ElementType type() const { return type_; }
  constexpr std::size_t rows() const { return rows_; }
  constexpr std::size_t cols() const { return cols_; }
  constexpr std::size_t stride() const { return stride_; }
  const void* row(std::size_t i) const {
    return static_cast<const unsigned char*>(data_) + i * stride_ * element_bytes(type_);
  }

 private:
  const void* data_ = nullptr;
  ElementType type_ = ElementType::float32;
  std::size_t rows_ = 0, cols_ = 0, stride_ = 0;
};

}  // namespace revector
