/// @file
/// Sixteen-bit floats as float32, exactly. Internal linkage throughout: see "No weak symbols" in docs/core.md.
#pragma once

#include <cstdint>

namespace {

inline float from_bfloat16(std::uint32_t bits) { return __builtin_bit_cast(float, bits << 16U); }

/// Normal numbers move their exponent from bias 15 to bias 127 (112 more); subnormal ones are whole multiples of 2^-24;
/// infinity and NaN keep an exponent of ones.
inline float from_float16(std::uint32_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U, exponent = (bits >> 10U) & 0x1FU, fraction = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 31 ? 255 : exponent + 112;
  return __builtin_bit_cast(float, sign | biased << 23U | fraction << 13U);
}

}  // namespace
