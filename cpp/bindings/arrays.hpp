/// @file
/// numpy arrays as matrix views, and new arrays for results.
///
/// The faces in Python have already made every input a two-dimensional array of the right dtype whose rows are
/// contiguous; what is checked here is what memory safety needs.
#pragma once

#include <pybind11/numpy.h>

#include <span>
#include <string>

#include "revector/errors.hpp"
#include "revector/matrix.hpp"
#include "revector/rows_view.hpp"

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, 0>;

/// Elements between the starts of two rows.
/// @throws ShapeError unless the array is a matrix with contiguous rows
inline std::size_t row_stride(const py::array& array, const char* name) {
  if (array.ndim() != 2)
    throw revector::ShapeError(std::string(name) + " has " + std::to_string(array.ndim()) +
                               " dimension(s), expected 2");
  const py::ssize_t rows = array.shape(0), cols = array.shape(1), item = array.itemsize();
  const bool contiguous_rows = rows == 0 || cols <= 1 || array.strides(1) == item;
  const bool whole_stride = rows <= 1 || (array.strides(0) % item == 0 && array.strides(0) >= cols * item);
  if (!contiguous_rows || !whole_stride)
    throw revector::ShapeError(std::string(name) +
                               " has rows that are not contiguous; pass numpy.ascontiguousarray(…)");
  return static_cast<std::size_t>(rows <= 1 ? cols : array.strides(0) / item);
}

/// @throws ShapeError unless the array is a matrix with contiguous rows
template <class T>
revector::MatrixView<const T> view(const Array<T>& array, const char* name) {
  const std::size_t stride = row_stride(array, name);
  return {array.data(), static_cast<std::size_t>(array.shape(0)), static_cast<std::size_t>(array.shape(1)), stride};
}

/// The element type of rows. numpy has no bfloat16 of its own: it comes as some other type ('V') of two bytes.
/// @throws InvalidArgument for a dtype that is none of them
inline revector::ElementType element_type(const py::array& array, const char* name) {
  using revector::ElementType;
  const char kind = array.dtype().kind();
  const py::ssize_t bytes = array.itemsize();
  if (kind == 'f' && bytes == 4) return ElementType::float32;
  if (kind == 'f' && bytes == 2) return ElementType::float16;
  if (kind == 'V' && bytes == 2) return ElementType::bfloat16;
  if (kind == 'i' && bytes == 1) return ElementType::int8;
  throw revector::InvalidArgument(std::string(name) +
                                  " is of a dtype that is not supported, expected float32, float16, "
                                  "bfloat16 or int8");
}

/// @throws as row_stride() and element_type()
inline revector::RowsView rows_view(const py::array& array, const char* name) {
  const std::size_t stride = row_stride(array, name);
  return {array.data(), element_type(array, name), static_cast<std::size_t>(array.shape(0)),
          static_cast<std::size_t>(array.shape(1)), stride};
}

/// @throws ShapeError unless the array is contiguous and of one dimension
template <class T>
std::span<const T> elements(const Array<T>& array, const char* name) {
  if (array.ndim() != 1 || (array.shape(0) > 1 && array.strides(0) != static_cast<py::ssize_t>(sizeof(T))))
    throw revector::ShapeError(std::string(name) + " is not a contiguous array of one dimension");
  return {array.data(), static_cast<std::size_t>(array.shape(0))};
}

template <class T>
revector::MatrixView<T> mutable_view(Array<T>& array, const char* name) {
  const auto found = view(array, name);
  return {array.mutable_data(), found.rows(), found.cols(), found.stride()};  // throws ValueError if read-only
}

template <class T>
Array<T> new_matrix(std::size_t rows, std::size_t cols) {
  return Array<T>({rows, cols});
}
