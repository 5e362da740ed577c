/// @file
/// The checks every public function makes, with the message in one place.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "revector/errors.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// @throws ShapeError unless got == expected; `what` names the thing counted ("columns of queries")
inline void require_equal(std::size_t got, std::size_t expected, const std::string& what) {
  if (got != expected)
    throw ShapeError(what + ": got " + std::to_string(got) + ", expected " + std::to_string(expected));
}

/// @throws ShapeError unless x is rows x cols
template <class T>
void require_shape(MatrixView<T> x, std::size_t rows, std::size_t cols, const char* name) {
  require_equal(x.rows(), rows, std::string("rows of ") + name);
  require_equal(x.cols(), cols, std::string("columns of ") + name);
}

/// @throws InvalidArgument unless offsets ascend from 0 to n_ids
inline void require_offsets(std::span<const std::int64_t> offsets, std::size_t n_ids) {
  if (offsets.empty()) throw InvalidArgument("offsets are empty, expected one more than there are texts");
  if (offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(n_ids))
    throw InvalidArgument("offsets run from " + std::to_string(offsets.front()) + " to " +
                          std::to_string(offsets.back()) + ", expected 0 to the number of ids, " +
                          std::to_string(n_ids));
  const auto fall = std::adjacent_find(offsets.begin(), offsets.end(), std::greater<>());
  if (fall != offsets.end())
    throw InvalidArgument("offsets fall at text " + std::to_string(fall - offsets.begin()) +
                          ", expected ascending ones");
}

template <class T>
bool finite_row(const T* row, std::size_t n) {
  return std::all_of(row, row + n, [](T value) { return std::isfinite(value); });
}

/// The error for a row that finite_row() refused.
[[noreturn]] inline void throw_not_finite(const char* name, std::size_t row) {
  throw NumericalError(std::string(name) + ": row " + std::to_string(row) +
                       " holds NaN or infinity, expected finite values; drop or repair the row");
}

/// @throws NumericalError naming the first row that holds NaN or infinity
inline void require_finite(MatrixView<const float> x, const char* name) {
  for (std::size_t i = 0; i < x.rows(); ++i)
    if (!finite_row(x.row(i), x.cols())) throw_not_finite(name, i);
}

}  // namespace revector
