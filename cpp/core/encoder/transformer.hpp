/// @file
/// The one forward pass of all families: embeddings, then layers of self-attention and a feed-forward network, each
/// with a residual and a layer norm behind it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
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

/// The products of a layer between states and weights.
enum class Product : std::uint8_t { qkv, attention_output, up, down };
constexpr std::size_t n_products = 4;

/// For each product, the channels of its input that stay in float32.
using ChannelsOfLayer = std::array<std::vector<std::uint32_t>, n_products>;

/// A layer as a checkpoint has it.
struct LayerWeights {
  LinearWeights qkv, attention_output, up, down;
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

  /// Sees the input of a product, [tokens x channels], before it is rounded; valid during the call.
  using Observer = std::function<void(std::size_t layer, Product product, MatrixView<const float> x)>;

  /// @param parts  its checkpoint is needed no longer once the transformer stands
  /// @param precision  of all products
  /// @throws EncoderError naming a layer's tensor that is missing or of another shape
  Transformer(TransformerParts parts, Precision precision);

  const TransformerSizes& sizes() const { return parts_.sizes; }
  Precision precision() const { return precision_; }
  /// Token types are below this; 1 for a family without types.
  std::size_t n_types() const;
  std::size_t max_length() const { return parts_.position_rule.max_length(parts_.sizes.positions); }

  /// Run all texts, on at most `threads` threads of the pool. The batch has been checked.
  /// @param observe  called from several threads; empty: nobody
  void run(const TokenBatch& batch, std::size_t threads, const Consumer& consume, const Observer& observe = {}) const;

 private:
  struct Workspace;
  struct Layer {
    Linear qkv, attention_output, up, down;
    LayerNorm attention_norm, output_norm;
  };

  static Layer pack(LayerWeights weights, Precision precision, ChannelsOfLayer apart);
  /// @param apart  for each layer; empty: nothing is set apart
  void pack_layers(Precision precision, std::vector<ChannelsOfLayer> apart);
  void run_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work, const Consumer& consume) const;
  void embed(const TokenBatch& batch, const Chunk& chunk, Workspace& work) const;
  void attend(const TokenBatch& batch, const Chunk& chunk, std::size_t layer, Workspace& work) const;
  void feed_forward(std::size_t layer, std::size_t n_tokens, Workspace& work) const;
  void add_and_normalize(MatrixView<const float> change, const LayerNorm& norm, MatrixView<float> states) const;

  TransformerParts parts_;  // without read_layer
  Precision precision_;
  std::vector<Layer> layers_;
};

}  // namespace revector
