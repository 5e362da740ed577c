/// @file
/// Eight floats in a ymm register. Internal linkage throughout: see "No weak symbols" in docs/core.md.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

struct Vec {
  static constexpr std::size_t width = 8;
  __m256 lanes;

  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec set(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static __m256i first(std::size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
  static Vec load_first(const float* p, std::size_t n) { return {_mm256_maskload_ps(p, first(n))}; }
  /// The first n elements, the other lanes set to `rest`.
  static Vec load_first_or(const float* p, std::size_t n, Vec rest) {
    const __m256i mask = first(n);
    return {_mm256_blendv_ps(rest.lanes, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))};
  }
  static Vec load_float16(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Vec load_bfloat16(const std::uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  static Vec load_int8(const std::int8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, lanes); }
  void store_first(float* p, std::size_t n) const { _mm256_maskstore_ps(p, first(n), lanes); }
  __m128i words() const {
    const __m256i whole = _mm256_cvtps_epi32(lanes);
    return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  }
  /// Lanes are whole numbers that the type has.
  void store_int8(std::int8_t* p) const {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words(), words()));
  }
  void store_int16(std::int16_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), words()); }
  float sum() const {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  float largest() const {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
  }
};

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.lanes, b.lanes)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.lanes, b.lanes)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.lanes, b.lanes)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.lanes, b.lanes)}; }
/// The larger of each lane; b where either is NaN.
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.lanes, b.lanes)}; }
/// The smaller of each lane; b where either is NaN.
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.lanes, b.lanes)}; }
/// |a|
inline Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.lanes)}; }
/// To the nearest whole number, ties to even; |a| < 2^22.
inline Vec round(Vec a) { return {_mm256_round_ps(a.lanes, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/// 2^n for whole n in [-126, 127].
inline Vec power_of_two(Vec n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.lanes), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}
/// Bit i is set where lane i of a is at least that of b.
inline std::uint32_t at_least(Vec a, Vec b) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.lanes, b.lanes, _CMP_GE_OQ)));
}
/// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }

/// A sum of products in float64, lane by lane.
struct WideSum {
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();

  static __m256d low_half(Vec v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v.lanes)); }
  static __m256d high_half(Vec v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v.lanes, 1)); }
  void add_product(Vec a, Vec b) {
    low = _mm256_fmadd_pd(low_half(a), low_half(b), low);
    high = _mm256_fmadd_pd(high_half(a), high_half(b), high);
  }
  double sum() const {
    const __m256d both = _mm256_add_pd(low, high);
    const __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));
    return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
  }
};

/// A sum of products of signed bytes, or words, and signed bytes.
template <class A>
struct ProductsWithBytes {
  static constexpr std::size_t width = 16;
  __m256i lanes = _mm256_setzero_si256();

  static __m256i load(const std::int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static __m256i load(const std::int16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  void add(const A* a, const std::int8_t* b) { lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(load(a), load(b))); }
  void add_first(const A* a, const std::int8_t* b, std::size_t n) {
    A first_a[width] = {};
    std::int8_t first_b[width] = {};
    for (std::size_t i = 0; i < n; ++i) {
      first_a[i] = a[i];
      first_b[i] = b[i];
    }
    add(first_a, first_b);
  }
  std::int32_t sum() const {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
  }
};
using ByteProducts = ProductsWithBytes<std::int8_t>;
using WordByteProducts = ProductsWithBytes<std::int16_t>;

}  // namespace
