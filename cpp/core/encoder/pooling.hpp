/// @file
/// From the states of a text's tokens to its vector.
#pragma once

#include "kernels/table.hpp"
#include "revector/encoder.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// out = the pooled states, without the first `skipped` ones: those of a prompt that does not count.
/// Zero for a text without tokens. Of a text with no others, cls and lasttoken take what is there.
void pool(const kernels::RowKernels& rows, Pooling pooling, MatrixView<const float> states, float* out,
          std::size_t skipped = 0);

}  // namespace revector
