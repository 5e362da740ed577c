/// @file
#pragma once

#include "revector/device.hpp"

namespace revector::kernels {

/// Whether this CPU has the instructions and the operating system saves their registers.
bool cpu_supports(Isa isa);

}  // namespace revector::kernels
