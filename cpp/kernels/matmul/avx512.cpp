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
#include "kernels/matmul/avx512_packing.inl"
#include "kernels/matmul/float_formats.inl"
// after the integer lanes
#include "kernels/matmul/int8_format.inl"
// after the integer format and the packing
#include "kernels/matmul/avx512_integer_packing.inl"
#include "kernels/table.hpp"

namespace {

struct Float32Lanes : Float32 {
  static __m512i along_k(const float* row, std::size_t count) {
    return _mm512_castps_si512(Vec::load_first(row, count).lanes);
  }
  static __m512i across_k(const float* rows, std::size_t, std::size_t, std::size_t count) {
    return _mm512_castps_si512(Vec::load_first(rows, count).lanes);
  }
};

}  // namespace

namespace revector::kernels {
extern const MatmulKernels float32_avx512 = REVECTOR_MATMUL(Float32Lanes, LanePacking);
extern const MatmulKernels bfloat16_avx512 = REVECTOR_MATMUL(RoundedBfloat16, Panels);
extern const MatmulKernels int8_avx512 = REVECTOR_MATMUL(Int8, IntegerPacking);
}  // namespace revector::kernels
