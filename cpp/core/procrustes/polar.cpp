#include "core/procrustes/polar.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/lapack.hpp"

namespace revector {
namespace {

// Largest over smallest singular value up to which eigenvectors of the squares give W to 1e-8 (1e-16 times its square).
constexpr double largest_condition = 1e4;

/// W = C V S^-1 V^T for rows >= cols, where C^T C = V S^2 V^T; the mirror image for rows < cols.
std::optional<Polar> by_eigenvectors(const std::vector<double>& c, std::size_t rows, std::size_t cols) {
  const bool tall = rows >= cols;
  const std::size_t n = std::min(rows, cols);
  const SymmetricEigen found = symmetric_eigen(product({c, rows, cols, tall}, {c, rows, cols, !tall}), n);
  const double largest = found.values.back(), smallest = found.values.front();
  if (!(smallest > 0) || smallest * largest_condition * largest_condition < largest) return std::nullopt;
  Polar out;
  std::vector<double> scaled = found.vectors;
  for (std::size_t i = 0; i < n; ++i) {
    const double s = std::sqrt(found.values[i]);
    out.singular_values.push_back(s);
    for (std::size_t j = 0; j < n; ++j) scaled[i * n + j] /= s;
  }
  std::reverse(out.singular_values.begin(), out.singular_values.end());
  const std::vector<double> inverse_root = product({found.vectors, n, n, true}, {scaled, n, n});
  out.factor = tall ? product({c, rows, cols}, {inverse_root, n, n}) : product({inverse_root, n, n}, {c, rows, cols});
  return out;
}

Polar by_svd(std::vector<double> c, std::size_t rows, std::size_t cols) {
  Svd found = svd(c, rows, cols);
  const std::size_t rank = found.s.size();
  return {product({found.u, rows, rank}, {found.vt, rank, cols}), std::move(found.s)};
}

}  // namespace

Polar polar(std::vector<double> c, std::size_t rows, std::size_t cols) {
  if (std::optional<Polar> found = by_eigenvectors(c, rows, cols)) return *std::move(found);
  return by_svd(std::move(c), rows, cols);
}

}  // namespace revector
