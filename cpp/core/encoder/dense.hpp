/// @file
/// The Dense module of sentence-transformers: one linear layer behind the pooling.
#pragma once

#include <string>

#include "core/encoder/activation.hpp"
#include "core/encoder/weights.hpp"

namespace revector {

/// y = activation(x W^T + b), plus x or its projection where the module has a residual. Immutable.
class Dense {
 public:
  /// Read config.json and model.safetensors of the module's folder.
  /// @throws EncoderError on what is malformed, not supported, or does not take rows of `in`
  Dense(const std::string& folder, std::size_t in);

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  /// Every file that was read.
  const std::vector<std::string>& files() const { return files_; }

  /// @param y  [n x out()], not x
  void apply(MatrixView<const float> x, MatrixView<float> y) const;

 private:
  enum class Residual { none, identity, projected };

  std::size_t in_, out_;
  Linear linear_, projection_;
  Activation activation_;
  Residual residual_;
  std::vector<std::string> files_;
};

}  // namespace revector
