/// @file
#pragma once

#include "revector/device.hpp"

namespace revector::kernels {

/// Whether this CPU has the instructions and the operating system saves their registers.
bool cpu_supports(Isa isa);

/// Whether the bfloat16 product of AVX512-BF16 does twice the work of a float32 one in the same time. It does on AMD
/// (234 to 117 GFLOP/s a core, measured on Zen 4); Intel's takes twice as long.
bool fast_bfloat16_dot();

}  // namespace revector::kernels
