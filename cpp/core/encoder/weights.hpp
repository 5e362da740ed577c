/// @file
/// Layers as a checkpoint has them.
#pragma once

#include <string>
#include <vector>

#include "core/encoder/checkpoint.hpp"
#include "core/encoder/linear.hpp"

namespace revector {

struct LayerNorm {
  std::vector<float> gain, bias;
  float epsilon;
};

enum class Bias { present, absent };

/// Tensors of a checkpoint under a prefix ("bert." or none).
class Weights {
 public:
  Weights(const Checkpoint& checkpoint, std::string prefix) : checkpoint_(checkpoint), prefix_(std::move(prefix)) {}

  /// The tensors of a part: at("encoder.layer.0") knows "encoder.layer.0.output.dense.weight" as "output.dense.weight".
  Weights at(const std::string& part) const { return {checkpoint_, prefix_ + part + "."}; }

  std::vector<float> matrix(const std::string& name, std::size_t rows, std::size_t cols) const {
    return checkpoint_.floats(prefix_ + name, {rows, cols});
  }
  /// The layers called `names`, of out x in each, beside one another as one product.
  LinearWeights linear(const std::vector<std::string>& names, std::size_t out, std::size_t in,
                       Bias bias = Bias::present) const;
  /// Also under the names that TensorFlow gave its parameters (gamma and beta).
  LayerNorm layer_norm(const std::string& name, std::size_t n, float epsilon) const;

 private:
  const Checkpoint& checkpoint_;
  std::string prefix_;
};

}  // namespace revector
