/// @file
/// The one forward pass of all families: embeddings, then layers of self-attention and a feed-forward network, each
/// with a residual and a layer norm behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/encoder/activation.hpp"
#include "core/encoder/attention.hpp"
#include "core/encoder/relative_bias.hpp"
#include "core/encoder/token_batch.hpp"
#include "core/encoder/weights.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// The numbers that define a transformer.
struct TransformerSizes {
  std::size_t vocabulary, hidden, layers, heads, intermediate, positions;
};

/// A layer as a checkpoint has it.
struct LayerWeights {
  LinearWeights qkv, attention_output, up, down;
  LayerNorm attention_norm, output_norm;
};

/// A layer as it is run.
struct PackedLayer {
  Linear qkv, attention_output, up, down;
  LayerNorm attention_norm, output_norm;
};

/// Which row of the position embeddings a token takes.
struct PositionRule {
  std::size_t first = 0;            ///< that of the first token
  std::optional<std::int32_t> pad;  ///< this token takes row `pad` wherever it stands, and is not counted
  std::size_t max_length(std::size_t positions) const { return positions > first ? positions - first : 0; }
};

/// What a family makes of config.json and checkpoint; see families/. Layers are read when they are packed, one at a
/// time, so that a model is never in memory twice; the checkpoint must live until then.
struct TransformerParts {
  TransformerSizes sizes;
  Activation activation;
  PositionRule position_rule;
  std::vector<float> words;      ///< [vocabulary x hidden]
  std::vector<float> positions;  ///< [positions x hidden]
  std::vector<float> types;      ///< [types x hidden]; empty: the family has none
  LayerNorm embedding_norm;
  std::function<LayerWeights(std::size_t layer)> read_layer;  ///< may be asked for a layer again
  std::optional<RelativeBias> relative_bias;
};

/// A loaded transformer: tokens in, their last states out. Immutable; may be run from several threads.
class Transformer {
 public:
  /// Receives the last states of one text, [tokens x hidden], valid during the call; called from several threads.
  using Consumer = std::function<void(std::size_t text, MatrixView<const float> states)>;

  /// @param parts      without read_layer
  /// @param layers     its layers, packed in this precision; see make_transformer()
  /// @param precision  of all products
  Transformer(TransformerParts parts, std::vector<PackedLayer> layers, Precision precision)
      : parts_(std::move(parts)), precision_(precision), layers_(std::move(layers)) {}

  const TransformerSizes& sizes() const { return parts_.sizes; }
  Precision precision() const { return precision_; }
  /// Token types are below this; 1 for a family without types.
  std::size_t n_types() const;
  std::size_t max_length() const { return parts_.position_rule.max_length(parts_.sizes.positions); }

  /// Run all texts, on at most `threads` threads of the pool. The batch has been checked.
  void run(const TokenBatch& batch, std::size_t threads, const Consumer& consume) const;

  /// What the transformer was made of, for another one.
  TransformerParts release() && { return std::move(parts_); }

 private:
  struct Workspace;
  void run_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work, const Consumer& consume) const;
  void embed(const TokenBatch& batch, const Chunk& chunk, Workspace& work) const;
  void attend(const TokenBatch& batch, const Chunk& chunk, const PackedLayer& layer, Workspace& work) const;
  void feed_forward(const PackedLayer& layer, std::size_t n_tokens, Workspace& work) const;
  void add_and_normalize(MatrixView<const float> change, const LayerNorm& norm, MatrixView<float> states) const;

  TransformerParts parts_;
  Precision precision_;
  std::vector<PackedLayer> layers_;
};

}  // namespace revector
