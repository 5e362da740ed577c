/// @file
/// Queries as the metric wants them.
#pragma once

#include <vector>

#include "revector/hnsw.hpp"
#include "revector/matrix.hpp"

namespace revector::hnsw {

/// The caller's own queries, or copies of unit length.
class PreparedQueries {
 public:
  PreparedQueries(Metric metric, MatrixView<const float> queries);
  MatrixView<const float> rows() const { return rows_; }

 private:
  std::vector<float> copies_;
  MatrixView<const float> rows_;
};

}  // namespace revector::hnsw
