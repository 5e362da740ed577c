/// @file
/// The kernel tables of this build.
#pragma once

#include "kernels/table.hpp"
#include "revector/device.hpp"

namespace revector::kernels {

/// The table of an instruction set, or null where the build left it out. Whether the CPU can run it is not asked.
const KernelTable* built_table(Isa isa);

}  // namespace revector::kernels
