/// @file
/// How the elements of a product are kept and multiplied.
#pragma once

#include <cstddef>

#include "kernels/table.hpp"
#include "revector/precision.hpp"

namespace revector {

/// A number format: that of a precision, or the coarse one. Formats are compared by their kernels.
class ProductFormat {
 public:
  ProductFormat(Precision precision);  // NOLINT(google-explicit-constructor): a precision is a format
  /// Where only a rough order of products is wanted: what is fastest here for sums over so many elements.
  static ProductFormat coarse(std::size_t elements);

  const kernels::MatmulKernels& kernels() const { return *kernels_; }
  /// Whether rows of floats are multiplied as they are.
  bool reads_floats() const { return reads_floats_; }

 private:
  ProductFormat(const kernels::MatmulKernels& kernels, bool reads_floats)
      : kernels_(&kernels), reads_floats_(reads_floats) {}

  const kernels::MatmulKernels* kernels_;
  bool reads_floats_;
};

}  // namespace revector
