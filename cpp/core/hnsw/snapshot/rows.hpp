/// @file
/// Vectors of fewer bits: how they are written, and distances to them.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "core/hnsw/rounding.hpp"
#include "core/hnsw/search.hpp"
#include "core/hnsw/snapshot/format.hpp"
#include "core/kernels.hpp"

namespace revector::hnsw {

constexpr float largest_float16 = 65504;
constexpr std::size_t most_int8_dims = 131072;  // a product of longer rows may leave 32 bits

/// Rounded to the nearest, ties to even. |x| <= largest_float16.
inline std::uint16_t to_float16(float x) {
  constexpr std::uint32_t smallest_normal = 0x38800000U, exponent_shift = 0x38000000U;  // 2^-14; 127 - 15
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U, magnitude = bits & 0x7FFFFFFFU;
  if (magnitude < smallest_normal)  // a multiple of 2^-24, the distance of the floats from 1/2 to 1
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) -
                                              std::bit_cast<std::uint32_t>(0.5F)));
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13U) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - exponent_shift) >> 13U));
}

/// Rounded to the nearest, ties to even. Finite x.
inline std::uint16_t to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

/// Multiples of the scale's step, -127 to 127.
inline Int8Scale to_int8(const float* x, std::size_t n, std::int8_t* codes) {
  const kernels::RowKernels& kernels = kernels::table().rows;
  const float step = rounding_step(x, n, most_int8);
  kernels.round_to_int8(x, n, step, codes);
  return {step, kernels.dot(x, x, n)};
}

/// Rows as they lie in a file.
struct StoredRows {
  const unsigned char* data = nullptr;
  std::size_t stride = 0, dim = 0;

  const unsigned char* row(NodeId id) const { return data + id * stride; }
  template <class T>
  const T* elements(NodeId id) const {
    return reinterpret_cast<const T*>(row(id));
  }
  /// Of a row of int8.
  Int8Scale scale(NodeId id) const {
    Int8Scale scale;
    std::memcpy(&scale, row(id) + stride - sizeof(scale), sizeof(scale));
    return scale;
  }
};

/// A row in float32.
inline void widen(StoredRows rows, ElementType type, NodeId id, float* out) {
  const kernels::RowKernels& kernels = kernels::table().rows;
  switch (type) {
    case ElementType::float32:
      std::copy_n(rows.elements<float>(id), rows.dim, out);
      return;
    case ElementType::float16:
      return kernels.widen_float16(rows.elements<std::uint16_t>(id), rows.dim, out);
    case ElementType::bfloat16:
      return kernels.widen_bfloat16(rows.elements<std::uint16_t>(id), rows.dim, out);
    case ElementType::int8:
      kernels.widen_int8(rows.elements<std::int8_t>(id), rows.dim, out);
      return kernels.scale(out, rows.scale(id).step, out, rows.dim);
  }
}

/// A distance that can be compared: what damaged vectors may give counts as far away.
inline float comparable(float distance) {
  return std::isnan(distance) ? std::numeric_limits<float>::infinity() : distance;
}

/// Distances (as those of Graph) to rows of floating-point numbers.
template <class T>
class FloatDistances {
 public:
  FloatDistances(StoredRows rows, float (*kernel)(const float*, const T*, std::size_t), float sign, const float* query)
      : rows_(rows), kernel_(kernel), sign_(sign), query_(query) {}
  float operator()(NodeId id) const { return comparable(sign_ * kernel_(query_, rows_.elements<T>(id), rows_.dim)); }
  [[gnu::always_inline]] void prefetch(NodeId id) const { prefetch_row(rows_.row(id)); }
  static bool excludes(NodeId, float) { return false; }

 private:
  StoredRows rows_;
  float (*kernel_)(const float*, const T*, std::size_t);
  float sign_;
  const float* query_;
};

/// Distances to rows of int8, of a query that is rounded like them.
class Int8Distances {
 public:
  /// @param codes  memory for the query, in use as long as this is
  Int8Distances(StoredRows rows, Metric metric, const float* query, std::vector<std::int8_t>& codes)
      : rows_(rows), dot_(kernels::table().rows.dot_int8), is_l2_(metric == Metric::l2) {
    codes.resize(rows.dim);
    scale_ = to_int8(query, rows.dim, codes.data());
    query_ = codes.data();
  }
  float operator()(NodeId id) const {
    const Int8Scale scale = rows_.scale(id);
    const auto steps = static_cast<float>(dot_(rows_.elements<std::int8_t>(id), query_, rows_.dim));
    const float product = scale.step * scale_.step * steps;
    return comparable(is_l2_ ? std::max(scale.square + scale_.square - 2 * product, 0.0F) : -product);
  }
  [[gnu::always_inline]] void prefetch(NodeId id) const {
    prefetch_row(rows_.row(id));
    revector::prefetch(rows_.row(id) + rows_.stride - sizeof(Int8Scale), sizeof(Int8Scale));
  }
  static bool excludes(NodeId, float) { return false; }

 private:
  StoredRows rows_;
  std::int32_t (*dot_)(const std::int8_t*, const std::int8_t*, std::size_t);
  bool is_l2_;
  Int8Scale scale_;
  const std::int8_t* query_ = nullptr;
};

}  // namespace revector::hnsw
