/// @file
/// Sixteen floats in a zmm register. Internal linkage throughout: see "No weak symbols" in docs/architecture.md.
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
  void store(float* p) const { _mm512_storeu_ps(p, lanes); }
  void store_first(float* p, std::size_t n) const { _mm512_mask_storeu_ps(p, first(n), lanes); }
  float sum() const { return _mm512_reduce_add_ps(lanes); }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.lanes, b.lanes)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.lanes, b.lanes)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.lanes, b.lanes)}; }
/// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }

}  // namespace
