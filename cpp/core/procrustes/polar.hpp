/// @file
/// The orthogonal factor of a matrix.
#pragma once

#include <cstddef>
#include <vector>

namespace revector {

/// C = W H with W's rows or columns orthonormal (whichever are fewer) and H symmetric, not negative.
struct Polar {
  std::vector<double> factor;           ///< W, [rows x cols]
  std::vector<double> singular_values;  ///< of C, largest first
};

/// W = U V^T of the SVD C = U S V^T, by the eigenvectors of the smaller of C^T C and C C^T where C is well conditioned
/// (half the price; the products square the condition number, so errors grow with its square), else by the SVD itself.
/// @param c  [rows x cols]
/// @throws as svd()
Polar polar(std::vector<double> c, std::size_t rows, std::size_t cols);

}  // namespace revector
