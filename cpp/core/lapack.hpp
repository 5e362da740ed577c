/// @file
/// The one LAPACK routine we need, without its Fortran calling convention.
#pragma once

#include <cstddef>
#include <vector>

namespace revector {

/// Thin singular value decomposition A = U diag(s) Vt with r = min(rows, cols).
struct Svd {
  std::vector<double> u;   ///< [rows x r], row-major
  std::vector<double> s;   ///< r values, largest first
  std::vector<double> vt;  ///< [r x cols], row-major
};

/// @param a  [rows x cols] row-major, overwritten
/// @throws NumericalError if the iteration does not converge; DeviceUnavailable if built without LAPACK
Svd svd(std::vector<double>& a, std::size_t rows, std::size_t cols);

}  // namespace revector
