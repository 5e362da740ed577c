#include "kernels/vec/avx512.hpp"

namespace {
// 24 accumulators + 2 panel vectors + 1 broadcast of 32 zmm registers.
constexpr std::size_t tile_rows = 12;
constexpr std::size_t tile_vectors = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/matmul.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const MatmulKernels matmul_avx512 = {panel_width, pack_transposed, pack, multiply};
}  // namespace revector::kernels
