#include "core/encoder/pooling.hpp"

#include <algorithm>

namespace revector {

const char* pooling_name(Pooling pooling) { return pooling == Pooling::cls ? "cls" : "mean"; }

void pool(const kernels::RowKernels& rows, Pooling pooling, MatrixView<const float> states, float* out) {
  std::fill(out, out + states.cols(), 0.0F);
  if (states.rows() == 0) return;
  const std::size_t used = pooling == Pooling::cls ? 1 : states.rows();
  for (std::size_t i = 0; i < used; ++i) rows.add_scaled(states.row(i), 1.0F, out, states.cols());
  rows.scale(out, 1.0F / static_cast<float>(used), out, states.cols());
}

}  // namespace revector
