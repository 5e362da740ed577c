// Two bfloat16 a lane; after float_formats.inl, in files that have AVX512-BF16. pair_k_unit is set before.
//
// Products are exact in float32; the instruction adds two of them to the sum, with rounding to nearest, and takes
// subnormal numbers for zero. Error of an element: 2^-8 * sum |a b| from the rounding of a and b, and k * eps of that.
#include <cstddef>
#include <cstdint>

namespace {

struct Bfloat16Pairs {
  using Element = std::uint16_t;
  using Lanes = __m512i;
  using Sum = Vec;
  static constexpr std::size_t group = 2, k_unit = pair_k_unit, row_tail_bytes = 0;
  static constexpr bool has_columns = false;

  struct Columns : PlainColumns {
    static Element encode(std::size_t, float x) { return static_cast<Element>(bfloat16_bits(x)); }
  };

  static Sum zero() { return Vec::zero(); }
  static Lanes broadcast(const Element* a) {
    std::int32_t lane;
    __builtin_memcpy(&lane, a, sizeof(lane));
    return _mm512_set1_epi32(lane);
  }
  static Lanes load(const Element* panel) { return _mm512_loadu_si512(panel); }
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) {
    return {_mm512_dpbf16_ps(sum.lanes, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b))};
  }

  static void convert(const float* x, std::size_t k, void* row) {
    auto* out = static_cast<Element*>(row);
    std::size_t i = 0;
    for (; i + Vec::width <= k; i += Vec::width) store(Vec::load(x + i), Vec::width, out + i);
    if (i < k) store(Vec::load_first(x + i, k - i), k - i, out + i);
    for (i = k; i < rounded_up(k, k_unit); ++i) out[i] = 0;
  }

 private:
  static void store(Vec v, std::size_t n, Element* out) {
    const auto bits = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.lanes));
    _mm256_mask_storeu_epi16(out, Vec::first(n), bits);
  }
};

}  // namespace
