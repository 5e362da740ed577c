// Two bfloat16 a lane; after float_formats.inl, in files that have AVX512-BF16. pair_k_unit is set before.
//
// Products are exact in float32; the instruction adds two of them to the sum, with rounding to nearest, and takes
// subnormal numbers for zero. Error of an element: 2^-8 * sum |a b| from the rounding of a and b, and k * eps of that.
#include <cstddef>
#include <cstdint>

namespace {

struct Bfloat16Pairs : WithoutSteps {
  using Element = std::uint16_t;
  using Lanes = __m512i;
  using Sum = Vec;
  static constexpr std::size_t group = 2, k_unit = pair_k_unit, row_tail_bytes = 0, rows_a_tile = tile_rows,
                               settled_k = 0;
  static constexpr bool has_columns = false;

  struct Columns : PlainColumns {
    static Element encode(std::size_t, float x) { return static_cast<Element>(bfloat16_bits(x)); }
  };

  static Sum zero() { return Vec::zero(); }
  static Lanes broadcast(const Element* a) {
    std::int32_t lane = 0;
    __builtin_memcpy(&lane, a, sizeof(lane));
    return _mm512_set1_epi32(lane);
  }
  static Lanes load(const Element* panel) { return _mm512_loadu_si512(panel); }
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) {
    return {_mm512_dpbf16_ps(sum.lanes, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b))};
  }

  static __m512i along_k(const float* row, std::size_t count) {
    const std::size_t low = count < Vec::width ? count : Vec::width;
    return pairs(Vec::load_first(row, low), Vec::load_first(row + low, count - low));
  }
  static __m512i across_k(const float* rows, std::size_t stride, std::size_t n, std::size_t count) {
    const __m512i even = widened(n > 0 ? Vec::load_first(rows, count) : Vec::zero());
    const __m512i odd = widened(n > 1 ? Vec::load_first(rows + stride, count) : Vec::zero());
    return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
  }

  static void convert(const float* x, std::size_t k, void* row) {
    auto* out = static_cast<Element*>(row);
    std::size_t i = 0;
    for (; i + Vec::width <= k; i += Vec::width) store(Vec::load(x + i), Vec::width, out + i);
    if (i < k) store(Vec::load_first(x + i, k - i), k - i, out + i);
    for (i = k; i < rounded_up(k, k_unit); ++i) out[i] = 0;
  }

 private:
  /// low and high, one behind the other
  static __m512i pairs(Vec low, Vec high) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.lanes, low.lanes));
  }
  /// In the low half of every lane.
  static __m512i widened(Vec v) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.lanes)));
  }
  static void store(Vec v, std::size_t n, Element* out) {
    const auto bits = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.lanes));
    _mm256_mask_storeu_epi16(out, Vec::first(n), bits);
  }
};

}  // namespace
