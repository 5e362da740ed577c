/// @file
/// Scaling one row to unit length, for every part of the core that needs it.
#pragma once

#include <cstddef>

#include "kernels/table.hpp"

namespace revector {

/// out = x / ||x||, zero for a zero row; out may be x. Norms that leave float32's range are computed in float64.
/// @return false if x holds NaN or infinity (out is then unspecified)
bool normalize_row(const kernels::RowKernels& rows, const float* x, float* out, std::size_t n);
bool normalize_row(const kernels::RowKernels& rows, const double* x, float* out, std::size_t n);

}  // namespace revector
