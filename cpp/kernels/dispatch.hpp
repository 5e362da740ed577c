/// @file
/// The kernels in use, chosen once a process.
#pragma once

#include "kernels/table.hpp"
#include "revector/device.hpp"

namespace revector::kernels {

/// The table of one instruction set.
/// @throws DeviceUnavailable if this build or this CPU lacks it
const KernelTable& table_for(Isa isa);

/// The table of active_isa().
const KernelTable& table();

}  // namespace revector::kernels
