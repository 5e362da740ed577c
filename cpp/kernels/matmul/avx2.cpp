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
  static constexpr std::size_t group = 2, k_unit = 2, rows_a_tile = tile_rows, settled_k = 0;
  static constexpr int most_row = 255, most_column = 127;

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

// Four bytes a lane, of six bits and a sign: pairs of products fit 16 bits four times over, 4 * 2 * 63 * 63 < 2^15, so
// they are summed there and widened once for four of them. A third faster than 16-bit integers and floats on Zen 1,
// where products of 16 bits are slower than those of floats; twice where each vector is one operation.
struct CoarseLanes {
  using Element = std::int8_t;  // rows hold unsigned bytes in the same place
  using Lanes = __m256i;
  struct Sum {
    __m256i narrow, wide;
  };
  static constexpr std::size_t group = 4, settled_k = 16, k_unit = 16, rows_a_tile = 3;
  static constexpr int most_row = 63, most_column = 63;

  static Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Lanes broadcast(const Element* a) {
    std::int32_t lane = 0;
    __builtin_memcpy(&lane, a, sizeof(lane));
    return _mm256_set1_epi32(lane);
  }
  static Lanes load(const Element* panel) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel)); }
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) {
    return {_mm256_add_epi16(sum.narrow, _mm256_maddubs_epi16(a, b)), sum.wide};
  }
  static Sum settle(Sum sum) {
    const __m256i widened = _mm256_madd_epi16(sum.narrow, _mm256_set1_epi16(1));
    return {_mm256_setzero_si256(), _mm256_add_epi32(sum.wide, widened)};
  }
  static __m256i subtract(Sum sum, std::int32_t factor, const std::int32_t* x) {
    return IntegerLanes::subtract(sum.wide, factor, x);
  }
  static Vec to_float(__m256i sum) { return IntegerLanes::to_float(sum); }
  static void store_whole(Vec v, Element* out) {
    const __m256i whole = _mm256_cvtps_epi32(v.lanes);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packs_epi16(words, words));
  }
};

}  // namespace
// after the integer lanes
#include "kernels/matmul/int8_format.inl"

namespace revector::kernels {
extern const MatmulKernels float32_avx2 = REVECTOR_MATMUL(Float32, Panels);
extern const MatmulKernels bfloat16_avx2 = REVECTOR_MATMUL(RoundedBfloat16, Panels);
extern const MatmulKernels int8_avx2 = REVECTOR_MATMUL(Int8, Panels);
extern const MatmulKernels coarse_avx2 = REVECTOR_MATMUL(Integers<CoarseLanes>, Panels);
}  // namespace revector::kernels
