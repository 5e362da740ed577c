#include "kernels/vec/scalar.hpp"
// after the vector type
#include "kernels/rows/rows.inl"

namespace revector::kernels {
extern const RowKernels rows_scalar = row_kernels;
}  // namespace revector::kernels
