#include "kernels/vec/avx2.hpp"
// after the vector type
#include "kernels/nn/nn.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const NnKernels nn_avx2 = {exponentials, gelu, gelu_coarse, gelu_tanh, relu, add_and_normalize};
}  // namespace revector::kernels
