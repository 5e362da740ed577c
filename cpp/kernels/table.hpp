/// @file
/// The kernel table: what every instruction set implements, as plain function pointers.
///
/// Kernels know no exceptions, no STL and no Python. A kernel object must hold no weak symbol (see
/// docs/core.md), so this header declares data and nothing else.
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
  /// The smallest and the largest element, 0 among them; NaN where an element is NaN or infinite.
  void (*extremes)(const float* x, std::size_t n, float* lowest, float* highest);
  /// sum (x[i] - step * round(x[i] / step))^2: what rounding to multiples of step loses. step >= 0.
  float (*rounding_squares)(const float* x, std::size_t n, float step);
  /// ab = sum a[i] * b[i] and bb = sum b[i]^2 in float64; the products of two floats are exact.
  void (*exact_products)(const float* a, const float* b, std::size_t n, double* ab, double* bb);
  /// The positions of the elements that are at least bar, in order; positions has room for n. Returns their number.
  std::size_t (*at_least)(const float* x, std::size_t n, float bar, std::uint32_t* positions);
  /// out[i] = x[i], exactly
  void (*widen_float16)(const std::uint16_t* x, std::size_t n, float* out);
  void (*widen_bfloat16)(const std::uint16_t* x, std::size_t n, float* out);
  void (*widen_int8)(const std::int8_t* x, std::size_t n, float* out);
  /// As dot and squared_distance, b widened on the way; the same error bounds.
  float (*dot_float16)(const float* a, const std::uint16_t* b, std::size_t n);
  float (*dot_bfloat16)(const float* a, const std::uint16_t* b, std::size_t n);
  float (*squared_distance_float16)(const float* a, const std::uint16_t* b, std::size_t n);
  float (*squared_distance_bfloat16)(const float* a, const std::uint16_t* b, std::size_t n);
  /// out[i] = round(x[i] / step); zeros for a step of 0. |x[i]| <= 127 step, or 32767 step. Returns rounding_squares.
  float (*round_to_int8)(const float* x, std::size_t n, float step, std::int8_t* out);
  float (*round_to_int16)(const float* x, std::size_t n, float step, std::int16_t* out);
  /// sum a[i] * b[i], exactly. Elements are at least -127, n is at most 131,072.
  std::int32_t (*dot_int8)(const std::int8_t* a, const std::int8_t* b, std::size_t n);
  /// The same, where no sum of |a[i] * b[i]| exceeds 2^31 - 1.
  std::int32_t (*dot_int16_int8)(const std::int16_t* a, const std::int8_t* b, std::size_t n);
};

/// What a product adds to A B: a row, and a product of a few terms in float32.
struct Addend {
  const float* bias;   ///< [n]; null: none
  const float* left;   ///< [m x terms]
  const float* right;  ///< [terms x n]
  std::size_t terms;   ///< 0: left and right are not read
};

/// C = A B in one number format. B is packed once, in panels of panel_width columns; rows of A are converted first.
/// Sums, addend and C are float32.
struct MatmulKernels {
  std::size_t panel_width;
  /// multiply() may read (and ignore) rows of A up to the next multiple of this; the caller's memory reaches that far.
  std::size_t row_block;
  /// Bytes of a row of A with k elements, a multiple of 4. Rows may lie further apart.
  std::size_t (*row_bytes)(std::size_t k);
  /// Bytes of a packed B of k x n.
  std::size_t (*packed_bytes)(std::size_t k, std::size_t n);
  /// Write a row of A. In float32 a copy: rows of floats can be given to multiply() as they are.
  void (*convert)(const float* x, std::size_t k, void* row);
  /// The step to whose multiples convert() rounds a row, and packing a column, whose extremes (0 among them) are these;
  /// 0 in formats without steps.
  float (*row_step)(float lowest, float highest);
  float (*column_step)(float lowest, float highest);
  /// Pack B given transposed: n rows of k elements (a weight matrix out x in, or documents).
  void (*pack_transposed)(const float* b, std::size_t stride, std::size_t n, std::size_t k, void* packed);
  /// Pack B given as k rows of n elements.
  void (*pack)(const float* b, std::size_t stride, std::size_t k, std::size_t n, void* packed);
  /// C[m x n] = A[m x k] B + addend; a_stride in bytes. Every element is summed in the order of k with one accumulator,
  /// whatever m and n are; so a product does not depend on the tile it falls in. packed starts a cache line.
  void (*multiply)(const void* a, std::size_t a_stride, std::size_t m, const void* packed, std::size_t k, std::size_t n,
                   const Addend& addend, float* c, std::size_t c_stride);
};

/// What a transformer needs between its products, row by row. A NaN in the input reaches the output.
struct NnKernels {
  /// x = exp(scale * (x - max x)) in place; returns their sum, by which the caller divides to have the softmax
  /// (attention does after its second product, on fewer numbers). n >= 1, scale > 0. Relative error of x / sum <= (n/16
  /// + 8) * eps.
  float (*exponentials)(float* x, std::size_t n, float scale);
  /// x = x Phi(x) in place (the "gelu" of BERT). Error <= 2 * eps * |x|.
  void (*gelu)(float* x, std::size_t n);
  /// The same with an error <= 1e-4 + 4 * eps * |x|, at half the price.
  void (*gelu_coarse)(float* x, std::size_t n);
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
  MatmulKernels float32, bfloat16, int8;
  /// What is fastest where only a rough order is wanted: the elements of a row are kept to 1/63 of its range, those of
  /// a column to 1/63 of its largest, or better.
  MatmulKernels coarse;
  NnKernels nn;
};

extern const RowKernels rows_scalar, rows_avx2, rows_avx512;
extern const MatmulKernels float32_scalar, float32_avx2, float32_avx512;
extern const MatmulKernels bfloat16_scalar, bfloat16_avx2, bfloat16_avx512, bfloat16_avx512_bf16, bfloat16_amx;
extern const MatmulKernels int8_scalar, int8_avx2, int8_avx512, int8_amx;
extern const MatmulKernels coarse_avx2;
extern const NnKernels nn_scalar, nn_avx2, nn_avx512;

}  // namespace revector::kernels
