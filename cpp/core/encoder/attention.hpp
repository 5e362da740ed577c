/// @file
/// Self-attention of one text, head by head.
#pragma once

#include <cstddef>

#include "core/aligned.hpp"
#include "core/encoder/relative_bias.hpp"
#include "core/packed_matrix.hpp"
#include "kernels/table.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// softmax(Q K^T / sqrt(d) + bias) V for texts of up to `max_length` tokens. Holds the scratch memory of one thread.
class Attention {
 public:
  /// @param hidden  width of Q, K and V; @param heads  divides hidden
  /// @param precision  of both products; the softmax between them is float32
  Attention(std::size_t hidden, std::size_t heads, std::size_t max_length, Precision precision);

  /// @param qkv      [tokens x 3 hidden]: Q, K and V of every token of one text
  /// @param context  [tokens x hidden], written
  /// @param bias     what the distance of two tokens adds to their score; null: nothing
  void apply(MatrixView<const float> qkv, MatrixView<float> context, const RelativeBias* bias);

 private:
  /// The bias of one head; `all` may be null.
  struct HeadBias {
    const RelativeBias* all;
    std::size_t head;
  };
  void apply_head(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  MatrixView<float> context, HeadBias bias);

  std::size_t hidden_, head_size_;
  const kernels::MatmulKernels& products_;
  AlignedBytes keys_, values_;
  AlignedFloats scores_, sums_;
  Operand queries_, weights_;
};

}  // namespace revector
