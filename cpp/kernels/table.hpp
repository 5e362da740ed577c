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

/// What a transformer needs between its products, row by row. A NaN in the input reaches the output.
struct NnKernels {
  /// x = softmax(scale * x) in place; n >= 1, scale > 0. Relative error of an element <= (n/16 + 8) * eps.
  void (*softmax)(float* x, std::size_t n, float scale);
  /// x = x Phi(x) in place (the "gelu" of BERT). Error <= 2 * eps * |x|.
  void (*gelu)(float* x, std::size_t n);
  /// x = x / 2 (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) in place ("gelu_new"). Error <= 4 * eps * |x|.
  void (*gelu_tanh)(float* x, std::size_t n);
  /// x = max(x, 0) in place
  void (*relu)(float* x, std::size_t n);
  /// The residual step: out = layer_norm(x + addend) * gain + bias. out may be x or addend.
  void (*add_and_normalize)(const float* x, const float* addend, const float* gain, const float* bias, float epsilon,
                            float* out, std::size_t n);
};

struct KernelTable {
  RowKernels rows;
  MatmulKernels matmul;
  NnKernels nn;
};

extern const RowKernels rows_scalar, rows_avx2, rows_avx512;
extern const MatmulKernels matmul_scalar, matmul_avx2, matmul_avx512;
extern const NnKernels nn_scalar, nn_avx2, nn_avx512;

}  // namespace revector::kernels
