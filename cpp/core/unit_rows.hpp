/// @file
/// Scaling one row to unit length, for every part of the core that needs it.
#pragma once

#include <cstddef>

#include "kernels/table.hpp"

namespace revector {

/// Whether a sum of squares in float32 is right: in between, squares neither vanish nor overflow. False for NaN.
inline bool trustworthy_squares(float squares) { return squares > 1e-30F && squares < 1e37F; }

/// out = x / ||x||, zero for a zero row; out may be x. Norms that leave float32's range are computed in float64.
/// @return false if x holds NaN or infinity (out is then unspecified)
bool normalize_row(const kernels::RowKernels& rows, const float* x, float* out, std::size_t n);
bool normalize_row(const kernels::RowKernels& rows, const double* x, float* out, std::size_t n);

}  // namespace revector
