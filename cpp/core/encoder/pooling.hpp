/// @file
/// From the states of a text's tokens to its vector.
#pragma once

#include "kernels/table.hpp"
#include "revector/encoder.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// out = the pooled states, zero for a text without tokens.
void pool(const kernels::RowKernels& rows, Pooling pooling, MatrixView<const float> states, float* out);

}  // namespace revector
