#include "kernels/vec/scalar.hpp"
// after the vector type
#include "kernels/nn/nn.inl"

namespace revector::kernels {
extern const NnKernels nn_scalar = nn_kernels;
}  // namespace revector::kernels
