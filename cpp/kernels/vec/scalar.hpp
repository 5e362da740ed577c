/// @file
/// Four floats in plain C++: the reference that every machine can run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/vec/half.hpp"

namespace {

struct Vec {
  static constexpr std::size_t width = 4;
  float lane[width];

  static Vec zero() { return {{0, 0, 0, 0}}; }
  static Vec set(float x) { return {{x, x, x, x}}; }
  static Vec load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec load_first(const float* p, std::size_t n) {
    Vec v = zero();
    for (std::size_t i = 0; i < n; ++i) v.lane[i] = p[i];
    return v;
  }
  /// The first n elements, the other lanes set to `rest`.
  static Vec load_first_or(const float* p, std::size_t n, Vec rest) {
    for (std::size_t i = 0; i < n; ++i) rest.lane[i] = p[i];
    return rest;
  }
  static Vec load_float16(const std::uint16_t* p) {
    return {{from_float16(p[0]), from_float16(p[1]), from_float16(p[2]), from_float16(p[3])}};
  }
  static Vec load_bfloat16(const std::uint16_t* p) {
    return {{from_bfloat16(p[0]), from_bfloat16(p[1]), from_bfloat16(p[2]), from_bfloat16(p[3])}};
  }
  static Vec load_int8(const std::int8_t* p) {
    return {{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]), static_cast<float>(p[3])}};
  }
  void store(float* p) const {
    for (std::size_t i = 0; i < width; ++i) p[i] = lane[i];
  }
  void store_first(float* p, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) p[i] = lane[i];
  }
  /// Lanes are whole numbers that the type has.
  void store_int8(std::int8_t* p) const {
    for (std::size_t i = 0; i < width; ++i) p[i] = static_cast<std::int8_t>(lane[i]);
  }
  void store_int16(std::int16_t* p) const {
    for (std::size_t i = 0; i < width; ++i) p[i] = static_cast<std::int16_t>(lane[i]);
  }
  float sum() const { return (lane[0] + lane[1]) + (lane[2] + lane[3]); }
  float largest() const {
    const float a = lane[0] > lane[1] ? lane[0] : lane[1], b = lane[2] > lane[3] ? lane[2] : lane[3];
    return a > b ? a : b;
  }
};

template <class Op>
inline Vec lanewise(Op op) {
  Vec v;
  for (std::size_t i = 0; i < Vec::width; ++i) v.lane[i] = op(i);
  return v;
}
inline Vec operator+(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
}
inline Vec operator-(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
}
inline Vec operator*(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
}
inline Vec operator/(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] / b.lane[i]; });
}
/// The larger of each lane; b where either is NaN.
inline Vec max(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
/// The smaller of each lane; b where either is NaN.
inline Vec min(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
/// |a|
inline Vec abs(Vec a) {
  return lanewise([&](std::size_t i) { return __builtin_fabsf(a.lane[i]); });
}
/// To the nearest whole number, ties to even; |a| < 2^22.
inline Vec round(Vec a) {
  constexpr float shift = 12582912.0F;  // 1.5 * 2^23: the sum has no bits left for a fraction
  return lanewise([&](std::size_t i) { return (a.lane[i] + shift) - shift; });
}
/// 2^n for whole n in [-126, 127].
inline Vec power_of_two(Vec n) {
  return lanewise([&](std::size_t i) {
    // By way of an integer that is in range for every n, NaN included: the conversion is undefined elsewhere.
    const float whole = n.lane[i] >= -126 && n.lane[i] <= 127 ? n.lane[i] : 0;
    const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(whole) + 127) << 23;
    return __builtin_bit_cast(float, bits);
  });
}
/// Bit i is set where lane i of a is at least that of b.
inline std::uint32_t at_least(Vec a, Vec b) {
  std::uint32_t bits = 0;
  for (std::uint32_t i = 0; i < Vec::width; ++i) bits |= static_cast<std::uint32_t>(a.lane[i] >= b.lane[i]) << i;
  return bits;
}
/// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) {
  return lanewise([&](std::size_t i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}

/// A sum of products in float64, lane by lane.
struct WideSum {
  double lane[Vec::width] = {};

  void add_product(Vec a, Vec b) {
    for (std::size_t i = 0; i < Vec::width; ++i) lane[i] += static_cast<double>(a.lane[i]) * b.lane[i];
  }
  double sum() const { return (lane[0] + lane[1]) + (lane[2] + lane[3]); }
};

/// A sum of products of integers, one by one.
template <class A>
struct ProductsWithBytes {
  static constexpr std::size_t width = 1;
  std::int32_t lane = 0;

  void add(const A* a, const std::int8_t* b) { lane += *a * *b; }
  void add_first(const A*, const std::int8_t*, std::size_t) {}  // there is always a whole one
  std::int32_t sum() const { return lane; }
};
using ByteProducts = ProductsWithBytes<std::int8_t>;
using WordByteProducts = ProductsWithBytes<std::int16_t>;

}  // namespace
