/// @file
/// Layers as they are computed: packed, in the precision that was asked for.
#pragma once

#include <string>
#include <vector>

#include "core/encoder/checkpoint.hpp"
#include "core/packed_matrix.hpp"

namespace revector {

/// y = x W^T + b
struct Linear {
  PackedMatrix weight;
  std::vector<float> bias;  ///< empty: none

  void apply(const Operand& x, MatrixView<float> y) const { weight.multiply(x, bias_or_null(), y); }
  /// The same for a float32 weight.
  void apply(MatrixView<const float> x, MatrixView<float> y) const { weight.multiply(x, bias_or_null(), y); }

 private:
  const float* bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
};

struct LayerNorm {
  std::vector<float> gain, bias;
  float epsilon;
};

enum class Bias { present, absent };

/// Tensors of a checkpoint under a prefix ("bert." or none).
class Weights {
 public:
  /// @param precision  of the products that linear() packs for
  Weights(const Checkpoint& checkpoint, std::string prefix, Precision precision = Precision::float32)
      : checkpoint_(checkpoint), prefix_(std::move(prefix)), precision_(precision) {}

  Precision precision() const { return precision_; }

  /// The tensors of a part: at("encoder.layer.0") knows "encoder.layer.0.output.dense.weight" as "output.dense.weight".
  Weights at(const std::string& part) const { return {checkpoint_, prefix_ + part + ".", precision_}; }

  std::vector<float> matrix(const std::string& name, std::size_t rows, std::size_t cols) const {
    return checkpoint_.floats(prefix_ + name, {rows, cols});
  }
  /// The layers called `names`, of out x in each, beside one another as one product.
  Linear linear(const std::vector<std::string>& names, std::size_t out, std::size_t in,
                Bias bias = Bias::present) const;
  /// Also under the names that TensorFlow gave its parameters (gamma and beta).
  LayerNorm layer_norm(const std::string& name, std::size_t n, float epsilon) const;

 private:
  const Checkpoint& checkpoint_;
  std::string prefix_;
  Precision precision_;
};

}  // namespace revector
