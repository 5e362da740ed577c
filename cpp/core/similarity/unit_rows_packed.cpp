#include "core/similarity/unit_rows_packed.hpp"

#include <algorithm>
#include <cmath>

#include "core/checks.hpp"
#include "core/kernels.hpp"
#include "core/unit_rows.hpp"

namespace revector {
namespace {

/// How one side of a product is rounded; see MatmulKernels.
using Step = float (*)(float lowest, float highest);

float rounding_of(const kernels::RowKernels& rows, const float* unit, std::size_t n, Precision precision,
                  Step step_of) {
  if (precision == Precision::float32) return 0;
  if (precision == Precision::bfloat16) return 0x1p-8F;  // half a unit of the last of 8 bits, and room for the norm
  float lowest = 0, highest = 0;
  rows.extremes(unit, n, &lowest, &highest);
  const float step = step_of(lowest, highest);
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
  const Step step = kernels::matmul(precision).row_step;
  RowReader read(queries);
  for (std::size_t i = 0; i < rounding_.size(); ++i) {
    float* unit = unit_.data() + i * dimension_;
    if (!normalize_row(rows, read(begin + i), unit, dimension_)) throw_not_finite("queries", begin + i);
    rounding_[i] = rounding_of(rows, unit, dimension_, precision, step);
  }
  operand_.assign(MatrixView<const float>(unit_.data(), rounding_.size(), dimension_));
}

UnitBlock UnitBlock::pack(RowReader& documents, std::size_t dimension, std::size_t begin, std::size_t end,
                          Precision precision, AlignedFloats& memory) {
  const kernels::RowKernels& rows = kernels::table().rows;
  const Step step = kernels::matmul(precision).column_step;
  memory.resize((end - begin) * dimension);
  UnitBlock block;
  for (std::size_t i = begin; i < end; ++i) {
    float* unit = memory.data() + (i - begin) * dimension;
    if (!normalize_row(rows, documents(i), unit, dimension)) throw_not_finite("documents", i);
    block.rounding.push_back(rounding_of(rows, unit, dimension, precision, step));
    block.largest_rounding = std::max(block.largest_rounding, block.rounding.back());
  }
  block.panels = PackedMatrix::from_transposed({memory.data(), end - begin, dimension}, precision);
  return block;
}

}  // namespace revector
