/// @file
/// How the elements of a product are kept and multiplied.
#pragma once

#include "kernels/table.hpp"
#include "revector/precision.hpp"

namespace revector {

/// A number format: that of a precision, or the coarse one.
class ProductFormat {
 public:
  ProductFormat(Precision precision);  // NOLINT(google-explicit-constructor): a precision is a format
  /// What is fastest here where only a rough order of products is wanted; see KernelTable::coarse.
  static ProductFormat coarse();

  const kernels::MatmulKernels& kernels() const { return *kernels_; }
  /// Whether rows of floats are multiplied as they are.
  bool reads_floats() const { return elements_ == Elements::floats; }
  /// Whether sums are integers of 32 bits.
  bool sums_integers() const { return elements_ == Elements::integers; }

 private:
  enum class Elements { floats, rounded, integers };
  ProductFormat(const kernels::MatmulKernels& kernels, Elements elements) : kernels_(&kernels), elements_(elements) {}
  static Elements elements_of(Precision precision);

  const kernels::MatmulKernels* kernels_;
  Elements elements_;
};

}  // namespace revector
