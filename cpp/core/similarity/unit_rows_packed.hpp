/// @file
/// Unit rows of queries and documents in the number format that candidates are searched in, and what rounding moved.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "core/packed_matrix.hpp"
#include "core/similarity/row_reader.hpp"
#include "revector/precision.hpp"

namespace revector {

/// Documents of a block: a packed one (256 x 384 floats) stays in the second cache.
constexpr std::size_t block_documents = 256;

/// Some unit queries, as rows of a product.
class UnitQueries {
 public:
  /// Rows [begin, end) of queries.
  /// @throws NumericalError naming the first row with NaN or infinity
  UnitQueries(RowsView queries, std::size_t begin, std::size_t end, Precision precision);

  std::size_t size() const { return rounding_.size(); }
  const float* row(std::size_t i) const { return unit_.data() + i * dimension_; }
  const Operand& operand() const { return operand_; }
  /// ||u - u'|| of the unit row u and its rounded form u'.
  float rounding(std::size_t i) const { return rounding_[i]; }

 private:
  std::size_t dimension_;
  AlignedFloats unit_;
  Operand operand_;
  std::vector<float> rounding_;
};

/// A block of unit documents, packed as the other side.
struct UnitBlock {
  PackedMatrix panels;
  std::vector<float> rounding;  ///< ||u - u'|| of each document
  float largest_rounding = 0;

  /// Documents [begin, end). @param memory  reused from block to block
  /// @throws NumericalError naming the first row with NaN or infinity
  static UnitBlock pack(RowReader& documents, std::size_t dimension, std::size_t begin, std::size_t end,
                        Precision precision, AlignedFloats& memory);
};

/// A bound on |computed - true| cosine for unit rows whose rounded forms lie this far off. By Cauchy-Schwarz,
/// |u v - u' v'| <= ||u - u'|| ||v'|| + ||u|| ||v - v'||; the rest is float32's own rounding.
inline float score_margin(float query_rounding, float document_rounding, std::size_t dimension) {
  return query_rounding * (1 + document_rounding) + document_rounding +
         static_cast<float>(dimension + 64) * std::numeric_limits<float>::epsilon();
}

}  // namespace revector
