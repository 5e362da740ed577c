#include "kernels/vec/avx512.hpp"
// after the vector type
#include "kernels/nn/nn.inl"

namespace revector::kernels {
extern const NnKernels nn_avx512 = nn_kernels;
}  // namespace revector::kernels
