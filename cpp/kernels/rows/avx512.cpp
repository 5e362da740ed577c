#include "kernels/vec/avx512.hpp"
// after the vector type
#include "kernels/rows/rows.inl"

namespace revector::kernels {
extern const RowKernels rows_avx512 = row_kernels;
}  // namespace revector::kernels
