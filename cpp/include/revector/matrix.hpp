/// @file
/// A view of rows that somebody else owns.
#pragma once

#include <cstddef>
#include <type_traits>

namespace revector {

/// Row-major matrix that is not owned: row i starts at data + i * stride, its elements are contiguous.
/// The memory must outlive the call that takes the view.
template <class T>
class MatrixView {
 public:
  constexpr MatrixView() = default;
  constexpr MatrixView(T* data, std::size_t rows, std::size_t cols) : MatrixView(data, rows, cols, cols) {}
  /// @param stride  elements between the starts of two rows, at least cols
  constexpr MatrixView(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  /// A view of T is also a view of const T.
  constexpr operator MatrixView<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data_, rows_, cols_, stride_};
  }

  constexpr T* data() const { return data_; }
  constexpr std::size_t rows() const { return rows_; }
  constexpr std::size_t cols() const { return cols_; }
  constexpr std::size_t stride() const { return stride_; }
  constexpr T* row(std::size_t i) const { return data_ + i * stride_; }
  constexpr MatrixView slice(std::size_t begin, std::size_t end) const {
    return {row(begin), end - begin, cols_, stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace revector
