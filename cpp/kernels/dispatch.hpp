/// @file
/// The kernels in use, chosen once a process.
#pragma once

#include "kernels/table.hpp"
#include "revector/device.hpp"

namespace revector::kernels {

/// The table of active_isa().
/// @throws DeviceUnavailable as active_isa() does
const KernelTable& table();

}  // namespace revector::kernels
