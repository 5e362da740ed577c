/// @file
/// Sixteen floats in a zmm register. Internal linkage throughout: see "No weak symbols" in docs/core.md.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

struct Vec {
  static constexpr std::size_t width = 16;
  __m512 lanes;

  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static Vec load_first(const float* p, std::size_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  /// The first n elements, the other lanes set to `rest`.
  static Vec load_first_or(const float* p, std::size_t n, Vec rest) {
    return {_mm512_mask_loadu_ps(rest.lanes, first(n), p)};
  }
  static Vec load_float16(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Vec load_bfloat16(const std::uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static Vec load_int8(const std::int8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, lanes); }
  void store_first(float* p, std::size_t n) const { _mm512_mask_storeu_ps(p, first(n), lanes); }
  /// Lanes are whole numbers that the type has.
  void store_int8(std::int8_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(lanes)));
  }
  void store_int16(std::int16_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(lanes)));
  }
  float sum() const { return _mm512_reduce_add_ps(lanes); }
  float largest() const { return _mm512_reduce_max_ps(lanes); }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.lanes, b.lanes)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.lanes, b.lanes)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.lanes, b.lanes)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.lanes, b.lanes)}; }
/// The larger of each lane; b where either is NaN.
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.lanes, b.lanes)}; }
/// The smaller of each lane; b where either is NaN.
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.lanes, b.lanes)}; }
/// |a|
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.lanes)}; }
/// To the nearest whole number, ties to even; |a| < 2^22.
inline Vec round(Vec a) { return {_mm512_roundscale_ps(a.lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/// 2^n for whole n in [-126, 127].
inline Vec power_of_two(Vec n) { return {_mm512_scalef_ps(_mm512_set1_ps(1.0F), n.lanes)}; }
/// Bit i is set where lane i of a is at least that of b.
inline std::uint32_t at_least(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.lanes, b.lanes, _CMP_GE_OQ); }
/// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }

/// A sum of products in float64, lane by lane.
struct WideSum {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();

  static __m512d low_half(Vec v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v.lanes)); }
  static __m512d high_half(Vec v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v.lanes, 1)); }
  void add_product(Vec a, Vec b) {
    low = _mm512_fmadd_pd(low_half(a), low_half(b), low);
    high = _mm512_fmadd_pd(high_half(a), high_half(b), high);
  }
  double sum() const { return _mm512_reduce_add_pd(_mm512_add_pd(low, high)); }
};

/// A sum of products of signed bytes. VNNI multiplies unsigned by signed ones: a is moved up by 128, and what that
/// adds, 128 times the sum of b, is taken off in the end.
struct ByteProducts {
  static constexpr std::size_t width = 64;
  __m512i products = _mm512_setzero_si512(), sum_of_b = _mm512_setzero_si512();

  void add(__m512i a, __m512i b) {
    products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(a, _mm512_set1_epi8(-128)), b);
    sum_of_b = _mm512_dpbusd_epi32(sum_of_b, _mm512_set1_epi8(1), b);
  }
  void add(const std::int8_t* a, const std::int8_t* b) { add(_mm512_loadu_si512(a), _mm512_loadu_si512(b)); }
  void add_first(const std::int8_t* a, const std::int8_t* b, std::size_t n) {
    const __mmask64 first = (std::uint64_t{1} << n) - 1;
    add(_mm512_maskz_loadu_epi8(first, a), _mm512_maskz_loadu_epi8(first, b));
  }
  std::int32_t sum() const {
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(products, _mm512_slli_epi32(sum_of_b, 7)));
  }
};

/// A sum of products of signed words and signed bytes.
struct WordByteProducts {
  static constexpr std::size_t width = 32;
  __m512i lanes = _mm512_setzero_si512();

  void add(__m512i a, __m256i b) { lanes = _mm512_dpwssd_epi32(lanes, a, _mm512_cvtepi8_epi16(b)); }
  void add(const std::int16_t* a, const std::int8_t* b) {
    add(_mm512_loadu_si512(a), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
  }
  void add_first(const std::int16_t* a, const std::int8_t* b, std::size_t n) {
    const __mmask32 first = (1U << n) - 1;
    add(_mm512_maskz_loadu_epi16(first, a), _mm256_maskz_loadu_epi8(first, b));
  }
  std::int32_t sum() const { return _mm512_reduce_add_epi32(lanes); }
};

}  // namespace
