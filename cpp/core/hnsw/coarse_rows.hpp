/// @file
/// Vectors once more in eight bits, with bounds on what that loses.
///
/// Four in five of the distances that a walk asks for are beyond its bound, and it waits for memory, not for products.
/// A coarse row is a quarter of a vector and tells most of them for certain; what it leaves open is measured. So the
/// walk is the same, node by node. The filter is that of the VA-file (Weber, Schek & Blott 1998).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/hnsw/chunks.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

class CoarseRows {
 public:
  explicit CoarseRows(std::size_t dim);

  /// Whether they pay. Shorter vectors are as few cache lines as their coarse rows; with longer ones sums could leave
  /// 32 bits.
  static bool pay(std::size_t dim) { return dim >= least_dim && dim <= most_dim; }

  void reserve(std::size_t n) { rows_.reserve(n); }
  /// @param vector  dim floats whose squares have a finite sum
  void set(std::size_t i, const float* vector);
  const std::byte* row(std::size_t i) const { return rows_.row(i); }

  /// What a row begins with; its codes follow, multiples of the step.
  struct Header {
    float step;
    float lost;    ///< at least the length of what rounding took, and of what a dot product in float32 may
    float length;  ///< at least that of the vector, and no more than rounding above it
  };

 private:
  static constexpr std::size_t least_dim = 192, most_dim = 4096;

  std::size_t dim_;
  Chunks<std::byte> rows_;
};

/// A query that is compared with coarse rows.
class CoarseQuery {
 public:
  CoarseQuery() = default;  ///< compares with nothing
  /// @param query  as the metric wants it
  CoarseQuery(Metric metric, const float* query, std::size_t dim);

  /// A number that the distance to the row's vector (see Distance), as computed in float32, is not below.
  double least_distance(const std::byte* row) const;

 private:
  std::vector<std::int16_t> codes_;
  std::int32_t (*dot_)(const std::int16_t*, const std::int8_t*, std::size_t) = nullptr;
  bool is_l2_ = false;
  double step_ = 0, lost_ = 0, length_ = 0;
};

}  // namespace revector::hnsw
