#include "kernels/vec/avx512.hpp"

namespace {
// 24 accumulators + 2 panel vectors + 1 broadcast of 32 zmm registers.
constexpr std::size_t tile_rows = 12;
constexpr std::size_t tile_vectors = 2;
constexpr std::size_t integer_k_unit = 4;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/panels.inl"
// after the panels
#include "kernels/matmul/avx512_integers.inl"
#include "kernels/matmul/float_formats.inl"
// after the integer lanes
#include "kernels/matmul/int8_format.inl"
#include "kernels/table.hpp"

namespace revector::kernels {
extern const MatmulKernels float32_avx512 = REVECTOR_MATMUL(Float32);
extern const MatmulKernels bfloat16_avx512 = REVECTOR_MATMUL(RoundedBfloat16);
extern const MatmulKernels int8_avx512 = REVECTOR_MATMUL(Int8);
}  // namespace revector::kernels
