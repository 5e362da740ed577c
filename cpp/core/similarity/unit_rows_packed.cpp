#include "core/similarity/unit_rows_packed.hpp"

#include <algorithm>
#include <cmath>

#include "core/checks.hpp"
#include "core/kernels.hpp"
#include "core/unit_rows.hpp"

namespace revector {
namespace {

/// The steps of the two sides are those of the products in int8; see kernels/matmul/int8_format.inl.
float int8_step(const kernels::RowKernels& rows, const float* unit, std::size_t n, bool query) {
  float lowest = 0, highest = 0;
  rows.extremes(unit, n, &lowest, &highest);
  return query ? (highest - lowest) / 255 : std::max(highest, -lowest) / 127;
}

float rounding_of(const kernels::RowKernels& rows, const float* unit, std::size_t n, Precision precision, bool query) {
  if (precision == Precision::float32) return 0;
  if (precision == Precision::bfloat16) return 0x1p-8F;  // half a unit of the last of 8 bits, and room for the norm
  const float step = int8_step(rows, unit, n, query);
  // A rounding that the kernel decides otherwise, half way between two steps, adds next to nothing.
  return std::sqrt(rows.rounding_squares(unit, n, step)) * 1.0001F + step * 1e-3F;
}

}  // namespace

UnitQueries::UnitQueries(RowsView queries, std::size_t begin, std::size_t end, Precision precision)
    : dimension_(queries.cols()),
      unit_((end - begin) * queries.cols()),
      operand_(precision, end - begin, queries.cols()),
      rounding_(end - begin) {
  const kernels::RowKernels& rows = kernels::table().rows;
  RowReader read(queries);
  for (std::size_t i = 0; i < rounding_.size(); ++i) {
    float* unit = unit_.data() + i * dimension_;
    if (!normalize_row(rows, read(begin + i), unit, dimension_)) throw_not_finite("queries", begin + i);
    rounding_[i] = rounding_of(rows, unit, dimension_, precision, true);
  }
  operand_.assign(MatrixView<const float>(unit_.data(), rounding_.size(), dimension_));
}

UnitBlock UnitBlock::pack(RowReader& documents, std::size_t dimension, std::size_t begin, std::size_t end,
                          Precision precision, AlignedFloats& memory) {
  const kernels::RowKernels& rows = kernels::table().rows;
  memory.resize((end - begin) * dimension);
  UnitBlock block;
  for (std::size_t i = begin; i < end; ++i) {
    float* unit = memory.data() + (i - begin) * dimension;
    if (!normalize_row(rows, documents(i), unit, dimension)) throw_not_finite("documents", i);
    block.rounding.push_back(rounding_of(rows, unit, dimension, precision, false));
    block.largest_rounding = std::max(block.largest_rounding, block.rounding.back());
  }
  block.panels = PackedMatrix::from_transposed({memory.data(), end - begin, dimension}, precision);
  return block;
}

}  // namespace revector
