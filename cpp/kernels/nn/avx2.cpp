#include "kernels/vec/avx2.hpp"
// after the vector type
#include "kernels/nn/nn.inl"

namespace revector::kernels {
extern const NnKernels nn_avx2 = nn_kernels;
}  // namespace revector::kernels
