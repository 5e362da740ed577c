#include "kernels/vec/avx2.hpp"

namespace {
// 12 accumulators + 2 panel vectors + 1 broadcast of 16 ymm registers.
constexpr std::size_t tile_rows = 6;
constexpr std::size_t tile_vectors = 2;
}  // namespace
// after the vector type and the tile's shape
#include "kernels/matmul/panels.inl"
// after the panels
#include "kernels/matmul/float_formats.inl"
#include "kernels/table.hpp"

namespace {

// In 16 bits: vpmaddubsw would do four bytes a lane, but saturates.
struct IntegerLanes {
  using Element = std::int16_t;
  using Lanes = __m256i;
  using Sum = __m256i;
  static constexpr std::size_t group = 2, k_unit = 2;

  static Sum zero() { return _mm256_setzero_si256(); }
  static Lanes broadcast(const Element* a) {
    std::int32_t lane = 0;
    __builtin_memcpy(&lane, a, sizeof(lane));
    return _mm256_set1_epi32(lane);
  }
  static Lanes load(const Element* panel) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel)); }
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
  static Sum subtract(Sum sum, std::int32_t factor, const std::int32_t* x) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    return _mm256_sub_epi32(sum, _mm256_mullo_epi32(_mm256_set1_epi32(factor), values));
  }
  static Vec to_float(Sum sum) { return {_mm256_cvtepi32_ps(sum)}; }
  static void store_whole(Vec v, Element* out) {
    const __m256i whole = _mm256_cvtps_epi32(v.lanes);
    const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), packed);
  }
};

}  // namespace
// after the integer lanes
#include "kernels/matmul/int8_format.inl"

namespace revector::kernels {
extern const MatmulKernels float32_avx2 = REVECTOR_MATMUL(Float32, Panels);
extern const MatmulKernels bfloat16_avx2 = REVECTOR_MATMUL(RoundedBfloat16, Panels);
extern const MatmulKernels int8_avx2 = REVECTOR_MATMUL(Int8, Panels);
}  // namespace revector::kernels
