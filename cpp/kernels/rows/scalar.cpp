#include "kernels/vec/scalar.hpp"
// after the vector type
#include "kernels/rows/rows.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const RowKernels rows_scalar = {dot, squared_distance, scale, add_scaled};
}  // namespace revector::kernels
