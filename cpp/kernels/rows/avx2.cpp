#include "kernels/vec/avx2.hpp"
// after the vector type
#include "kernels/rows/rows.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const RowKernels rows_avx2 = {dot,
                                     squared_distance,
                                     scale,
                                     add_scaled,
                                     extremes,
                                     rounding_squares,
                                     exact_products,
                                     at_least,
                                     widen_float16,
                                     widen_bfloat16,
                                     widen_int8,
                                     dot_float16,
                                     dot_bfloat16,
                                     squared_distance_float16,
                                     squared_distance_bfloat16,
                                     round_to_int8,
                                     round_to_int16,
                                     dot_int8,
                                     dot_int16_int8};
}  // namespace revector::kernels
