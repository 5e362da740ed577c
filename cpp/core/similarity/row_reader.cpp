#include "core/similarity/row_reader.hpp"

#include <cstdint>

#include "core/kernels.hpp"

namespace revector {

RowReader::RowReader(RowsView rows)
    : rows_(rows), kernels_(kernels::table().rows), widened_(rows.type() == ElementType::float32 ? 0 : rows.cols()) {}

const float* RowReader::operator()(std::size_t i) {
  const void* row = rows_.row(i);
  switch (rows_.type()) {
    case ElementType::float32:
      return static_cast<const float*>(row);
    case ElementType::float16:
      kernels_.widen_float16(static_cast<const std::uint16_t*>(row), rows_.cols(), widened_.data());
      break;
    case ElementType::bfloat16:
      kernels_.widen_bfloat16(static_cast<const std::uint16_t*>(row), rows_.cols(), widened_.data());
      break;
    case ElementType::int8:
      kernels_.widen_int8(static_cast<const std::int8_t*>(row), rows_.cols(), widened_.data());
      break;
  }
  return widened_.data();
}

}  // namespace revector
