#include "core/product_format.hpp"

#include "core/similarity/search.hpp"
#include "kernels/dispatch.hpp"

namespace revector {

ProductFormat::ProductFormat(Precision precision)
    : ProductFormat(kernels::matmul(precision), precision == Precision::float32) {}

ProductFormat ProductFormat::coarse(std::size_t elements) {
  const Precision precise = candidate_precision(Precision::float32, elements);
  return precise == Precision::int8 ? ProductFormat(kernels::table().coarse, false) : ProductFormat(precise);
}

}  // namespace revector
