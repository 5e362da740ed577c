/// @file
/// Sixteen-bit floats as float32, exactly.
#pragma once

#include <bit>
#include <cstdint>

namespace revector {

inline float from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Normal numbers move their exponent from bias 15 to bias 127 (112 more); subnormal ones are whole multiples of 2^-24;
/// infinity and NaN keep an exponent of ones.
inline float from_float16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU, fraction = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | biased << 23 | fraction << 13);
}

}  // namespace revector
