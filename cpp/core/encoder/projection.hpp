/// @file
/// What a model does to its pooled rows: Dense layers, with or without normalisation between them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/encoder/dense.hpp"
#include "core/encoder/modules.hpp"

namespace revector {

/// The Dense modules behind the pooling, loaded. Immutable.
class Projection {
 public:
  Projection() = default;
  /// @param width  of the pooled rows. @throws EncoderError
  Projection(const std::vector<Step>& steps, std::size_t width);

  bool empty() const { return layers_.empty(); }
  /// Width of the rows that come out; only where there is a layer.
  std::size_t width() const { return layers_.back().dense.out(); }
  /// Every file that was read.
  std::vector<std::string> files() const;

  /// @param pooled  overwritten; @param out  [rows of pooled x width()]. Rows that are not finite stay so.
  void apply(MatrixView<float> pooled, MatrixView<float> out) const;

 private:
  struct Layer {
    bool of_unit_rows;
    Dense dense;
  };
  void apply_block(MatrixView<float> pooled, MatrixView<float> out) const;

  std::vector<Layer> layers_;
};

}  // namespace revector
