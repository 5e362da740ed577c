/// @file
/// A linear layer, packed in the number format of its kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/packed_matrix.hpp"

namespace revector {

/// y = x W^T + b as a checkpoint has it.
struct LinearWeights {
  std::size_t in = 0;
  std::vector<float> weight;  ///< [out x in]
  std::vector<float> bias;    ///< empty: none
};

/// y = x W^T + b. Immutable once made.
class Linear {
 public:
  /// Sees an x before it is multiplied; valid during the call.
  using Observer = std::function<void(MatrixView<const float> x)>;

  Linear() = default;
  /// @param apart  channels of x whose products stay in float32, where `precision` is too coarse for them
  explicit Linear(LinearWeights weights, Precision precision = Precision::float32,
                  std::vector<std::uint32_t> apart = {});
  /// A float32 layer that is watched. @param observe  called by each thread that multiplies an Operand
  Linear(LinearWeights weights, Observer observe);

  /// The channels that an Operand must set apart.
  Channels apart() const { return apart_; }

  /// @param x  with the channels of apart() set apart
  void apply(const Operand& x, MatrixView<float> y) const {
    if (observe_) observe_(floats(x));
    weight_.multiply(x, bias_or_null(), y, weight_apart_.data());
  }
  /// The same for a float32 layer.
  void apply(MatrixView<const float> x, MatrixView<float> y) const { weight_.multiply(x, bias_or_null(), y); }

 private:
  /// The rows of an operand in float32.
  MatrixView<const float> floats(const Operand& x) const {
    return {static_cast<const float*>(x.data()), x.rows(), weight_.rows(), x.stride() / sizeof(float)};
  }
  const float* bias_or_null() const { return bias_.empty() ? nullptr : bias_.data(); }

  PackedMatrix weight_;              // 0 in the channels apart
  std::vector<float> weight_apart_;  // [channels apart x out]
  std::vector<float> bias_;
  std::vector<std::uint32_t> apart_;
  Observer observe_;  // empty: nobody
};

}  // namespace revector
