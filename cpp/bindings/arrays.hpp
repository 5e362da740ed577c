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

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, 0>;

/// @throws ShapeError unless the array is a matrix with contiguous rows
template <class T>
revector::MatrixView<const T> view(const Array<T>& array, const char* name) {
  if (array.ndim() != 2)
    throw revector::ShapeError(std::string(name) + " has " + std::to_string(array.ndim()) +
                               " dimension(s), expected 2");
  const auto rows = static_cast<std::size_t>(array.shape(0)), cols = static_cast<std::size_t>(array.shape(1));
  const auto item = static_cast<py::ssize_t>(sizeof(T));
  const bool contiguous_rows = rows == 0 || cols <= 1 || array.strides(1) == item;
  const bool whole_stride = rows <= 1 || (array.strides(0) % item == 0 && array.strides(0) >= array.shape(1) * item);
  if (!contiguous_rows || !whole_stride)
    throw revector::ShapeError(std::string(name) +
                               " has rows that are not contiguous; pass numpy.ascontiguousarray(…)");
  return {array.data(), rows, cols, rows <= 1 ? cols : static_cast<std::size_t>(array.strides(0) / item)};
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
