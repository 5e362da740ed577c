#include "kernels/vec/avx2.hpp"
// after the vector type
#include "kernels/rows/rows.inl"

namespace revector::kernels {
extern const RowKernels rows_avx2 = row_kernels;
}  // namespace revector::kernels
