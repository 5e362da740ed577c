/// @file
/// The kernel table: what every instruction set implements, as plain function pointers.
///
/// Kernels know no exceptions, no STL and no Python. A kernel object must hold no weak symbol (see
/// docs/architecture.md), so this header declares data and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace revector::kernels {

/// Operations on rows. Pointers need no alignment; n is a number of elements.
struct RowKernels {
  /// sum a[i] * b[i], in float32 with several partial sums; error <= n/16 * eps * sum |a[i] b[i]|
  float (*dot)(const float* a, const float* b, std::size_t n);
  /// sum (a[i] - b[i])^2
  float (*squared_distance)(const float* a, const float* b, std::size_t n);
  /// out[i] = x[i] * factor; out may be x
  void (*scale)(const float* x, float factor, float* out, std::size_t n);
  /// out[i] += x[i] * factor
  void (*add_scaled)(const float* x, float factor, float* out, std::size_t n);
};

/// C = A B in float32, with B packed once into panels of panel_width columns: [n / panel_width][k][panel_width], the
/// last panel filled with zeros.
struct MatmulKernels {
  std::size_t panel_width;
  /// Pack B given transposed: n rows of k elements (a weight matrix out x in, or documents).
  /// @param packed  round_up(n, panel_width) * k floats
  void (*pack_transposed)(const float* b, std::size_t stride, std::size_t n, std::size_t k, float* packed);
  /// Pack B given as k rows of n elements. packed as above.
  void (*pack)(const float* b, std::size_t stride, std::size_t k, std::size_t n, float* packed);
  /// C[m x n] = A[m x k] B, plus bias[n] where bias is not null. Every element is summed in the order of k with one
  /// accumulator, whatever m and n are; so a product does not depend on the tile it falls in.
  void (*multiply)(const float* a, std::size_t a_stride, std::size_t m, const float* packed, std::size_t k,
                   std::size_t n, const float* bias, float* c, std::size_t c_stride);
};

struct KernelTable {
  RowKernels rows;
  MatmulKernels matmul;
};

extern const RowKernels rows_scalar, rows_avx2, rows_avx512;
extern const MatmulKernels matmul_scalar, matmul_avx2, matmul_avx512;

}  // namespace revector::kernels
