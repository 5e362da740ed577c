/// @file
/// The routines of BLAS and LAPACK that we need, without their Fortran calling convention. All row-major, in float64.
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

/// Eigendecomposition of a symmetric matrix, A = V^T diag(values) V.
struct SymmetricEigen {
  std::vector<double> values;   ///< smallest first
  std::vector<double> vectors;  ///< [n x n]: row i belongs to values[i]
};

/// @param a  [n x n]
/// @throws as svd()
SymmetricEigen symmetric_eigen(std::vector<double> a, std::size_t n);

/// A matrix of float64 as it is, or transposed.
struct Factor {
  const std::vector<double>& values;
  std::size_t rows, cols;  ///< as stored
  bool transposed = false;
};

/// A B, each as its flag says. @throws DeviceUnavailable if built without LAPACK
std::vector<double> product(Factor a, Factor b);

}  // namespace revector
