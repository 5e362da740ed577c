/// @file
/// The kernels in use, chosen once a process.
#pragma once

#include "kernels/table.hpp"
#include "revector/precision.hpp"

namespace revector::kernels {

/// The table of active_isa().
/// @throws DeviceUnavailable as active_isa() does
const KernelTable& table();

/// The products of a precision in that table.
const MatmulKernels& matmul(Precision precision);

}  // namespace revector::kernels
