// Four bytes a lane, multiplied and summed by one VNNI instruction; after vec/avx512.hpp. k_unit is set before.
#include <cstddef>
#include <cstdint>

namespace {

struct IntegerLanes {
  using Element = std::int8_t;  // rows hold unsigned bytes in the same place
  using Lanes = __m512i;
  using Sum = __m512i;
  static constexpr std::size_t group = 4, k_unit = integer_k_unit, rows_a_tile = tile_rows, settled_k = 0;
  static constexpr int most_row = 255, most_column = 127;

  static Sum zero() { return _mm512_setzero_si512(); }
  static Lanes broadcast(const Element* a) {
    std::int32_t lane = 0;
    __builtin_memcpy(&lane, a, sizeof(lane));
    return _mm512_set1_epi32(lane);
  }
  static Lanes load(const Element* panel) { return _mm512_loadu_si512(panel); }
  // In assembler because gcc 12 copies and spills the sums of the intrinsic in a tile's loop (330 instead of 450
  // GOP/s).
  static Sum multiply_add(Lanes a, Lanes b, Sum sum) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
  static Sum subtract(Sum sum, std::int32_t factor, const std::int32_t* x) {
    return _mm512_sub_epi32(sum, _mm512_mullo_epi32(_mm512_set1_epi32(factor), _mm512_loadu_si512(x)));
  }
  static Vec to_float(Sum sum) { return {_mm512_cvtepi32_ps(sum)}; }
  static void store_whole(Vec v, Element* out) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v.lanes)));
  }
};

}  // namespace
