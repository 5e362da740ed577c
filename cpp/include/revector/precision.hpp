/// @file
/// The number formats that products can be computed in.
#pragma once

#include <string>

#include "revector/export.hpp"

namespace revector {

/// Format of the factors of a product; sums are always float32 (int32 for int8).
enum class Precision {
  float32,
  bfloat16,  ///< 8 bits of mantissa on both sides
  int8,      ///< activations: a scale and a zero point for each token; weights: a scale for each output channel
};

/// Name of a precision: "float32", "bfloat16", "int8".
REVECTOR_API const char* precision_name(Precision precision);

/// The fastest precision of this CPU whose vectors stay within a cosine of .9999 of float32: bfloat16 where the CPU
/// multiplies it faster than float32 (AMX, or AVX512-BF16 on AMD), else float32.
REVECTOR_API Precision fastest_precision();

/// The precision of a name; "auto" is fastest_precision(). @throws InvalidArgument for any other name
REVECTOR_API Precision precision_named(const std::string& name);

}  // namespace revector
