#include "kernels/vec/avx2.hpp"

namespace {
// 12 accumulators + 2 panel vectors + 1 broadcast of 16 ymm registers.
constexpr std::size_t tile_rows = 6;
constexpr std::size_t tile_vectors = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/matmul.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const MatmulKernels matmul_avx2 = {panel_width, pack_transposed, pack, multiply};
}  // namespace revector::kernels
