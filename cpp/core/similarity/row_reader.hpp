/// @file
/// Rows of any element type as float32, one at a time.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/table.hpp"
#include "revector/rows_view.hpp"

namespace revector {

/// Reads rows as float32: in place where they are, else through this object's memory. One a thread.
class RowReader {
 public:
  explicit RowReader(RowsView rows);

  /// Row i; valid until the next call.
  const float* operator()(std::size_t i);

 private:
  RowsView rows_;
  const kernels::RowKernels& kernels_;
  std::vector<float> widened_;  // empty for float32
};

}  // namespace revector
