#include "kernels/vec/scalar.hpp"

namespace {
// Two vectors of four: what a compiler keeps in sixteen xmm registers.
constexpr std::size_t tile_rows = 4;
constexpr std::size_t tile_vectors = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/matmul.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const MatmulKernels matmul_scalar = {panel_width, pack_transposed, pack, multiply};
}  // namespace revector::kernels
