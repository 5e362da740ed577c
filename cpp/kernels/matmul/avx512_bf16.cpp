#include "kernels/vec/avx512.hpp"

namespace {
// 24 accumulators + 2 panel vectors + 1 broadcast of 32 zmm registers.
constexpr std::size_t tile_rows = 12;
constexpr std::size_t tile_vectors = 2;
constexpr std::size_t pair_k_unit = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/panels.inl"
// after the panels
#include "kernels/matmul/avx512_packing.inl"
#include "kernels/matmul/float_formats.inl"
// after the formats of floats
#include "kernels/matmul/bfloat16_pairs.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const MatmulKernels bfloat16_avx512_bf16 = REVECTOR_MATMUL(Bfloat16Pairs, LanePacking);
}  // namespace revector::kernels
