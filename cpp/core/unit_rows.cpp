#include "core/unit_rows.hpp"

#include <algorithm>
#include <cmath>

#include "core/checks.hpp"

namespace revector {
namespace {

/// In float64, after division by the largest element: no finite row overflows or vanishes.
template <class T>
bool normalize_exactly(const T* x, float* out, std::size_t n) {
  if (!finite_row(x, n)) return false;
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(static_cast<double>(x[i])));
  double squares = 0;
  for (std::size_t i = 0; i < n && largest > 0; ++i) {
    const double ratio = static_cast<double>(x[i]) / largest;
    squares += ratio * ratio;
  }
  for (std::size_t i = 0; i < n; ++i)
    out[i] = largest > 0 ? static_cast<float>(static_cast<double>(x[i]) / largest / std::sqrt(squares)) : 0.0F;
  return true;
}

}  // namespace

bool normalize_row(const kernels::RowKernels& rows, const float* x, float* out, std::size_t n) {
  const float squares = rows.dot(x, x, n);
  if (!trustworthy_squares(squares)) return normalize_exactly(x, out, n);
  rows.scale(x, 1 / std::sqrt(squares), out, n);
  return true;
}

bool normalize_row(const kernels::RowKernels&, const double* x, float* out, std::size_t n) {
  return normalize_exactly(x, out, n);
}

}  // namespace revector
