/// @file
/// The numbers that define a BERT.
#pragma once

#include <cstddef>

#include "core/encoder/fields.hpp"
#include "kernels/table.hpp"

namespace revector {

/// A function of NnKernels, applied in place.
using Activation = void (*)(float* x, std::size_t n);

struct BertConfig {
  std::size_t vocabulary, hidden, layers, heads, intermediate, positions, types;
  float epsilon;
  Activation activation;

  /// @throws EncoderError naming the field that is missing, impossible or not supported
  static BertConfig read(const Fields& config);
};

}  // namespace revector
