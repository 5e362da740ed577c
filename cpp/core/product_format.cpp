#include "core/product_format.hpp"

#include "core/kernels.hpp"

namespace revector {

ProductFormat::Elements ProductFormat::elements_of(Precision precision) {
  if (precision == Precision::float32) return Elements::floats;
  return precision == Precision::int8 ? Elements::integers : Elements::rounded;
}

ProductFormat::ProductFormat(Precision precision) : ProductFormat(kernels::matmul(precision), elements_of(precision)) {}

ProductFormat ProductFormat::coarse() { return {kernels::table().coarse, Elements::integers}; }

}  // namespace revector
