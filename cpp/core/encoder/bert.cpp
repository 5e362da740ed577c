// BERT (Devlin et al., 2019): embeddings, then layers of self-attention and a feed-forward network, each with a
// residual and a layer norm behind it.
//
// A thread takes a chunk of whole texts and carries it through all layers before it takes the next: the chunk's states
// stay in its L2, and threads meet only at the end. Tokens of all texts lie one after the other, so every product but
// those of attention is one large one, and nothing is spent on padding.
#include <algorithm>
#include <atomic>

#include "core/encoder/attention.hpp"
#include "core/encoder/bert_config.hpp"
#include "core/encoder/pooling.hpp"
#include "core/encoder/text_model.hpp"
#include "core/encoder/weights.hpp"
#include "core/thread_pool.hpp"
#include "kernels/dispatch.hpp"

namespace revector {
namespace {

constexpr std::size_t chunk_tokens = 256;       // states of 256 x 384 floats and their Q, K, V: 2 MB
constexpr std::size_t smallest_chunk = 64;      // below this the products run at a fraction of their speed
constexpr std::size_t feed_forward_block = 96;  // rows whose intermediate states (96 x 1536 floats) are held at once

struct Layer {
  Linear qkv, attention_output, up, down;
  LayerNorm attention_norm, output_norm;
};

/// Scratch memory of one thread, for chunks of up to n tokens.
struct Workspace {
  Workspace(const BertConfig& config, std::size_t n, std::size_t longest_text)
      : states(n * config.hidden),
        qkv(n * 3 * config.hidden),
        context(n * config.hidden),
        intermediate(std::min(n, feed_forward_block) * config.intermediate),
        attention(config.hidden, config.heads, longest_text) {}

  AlignedFloats states, qkv, context, intermediate;
  Attention attention;
};

MatrixView<float> rows_of(AlignedFloats& memory, std::size_t n, std::size_t width) { return {memory.data(), n, width}; }

class Bert : public TextModel {
 public:
  Bert(const BertConfig& config, const Weights& weights, const Modules& modules);

  const char* family() const override { return "bert"; }
  std::size_t dimension() const override { return config_.hidden; }
  std::size_t vocabulary() const override { return config_.vocabulary; }
  std::size_t max_length() const override { return max_length_; }
  void encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const override;

 private:
  void encode_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work, MatrixView<float> out) const;
  void embed(const TokenBatch& batch, const Chunk& chunk, MatrixView<float> states) const;
  void attend(const TokenBatch& batch, const Chunk& chunk, const Layer& layer, Workspace& work) const;
  void feed_forward(const Layer& layer, std::size_t n_tokens, Workspace& work) const;
  void add_and_normalize(MatrixView<const float> change, const LayerNorm& norm, MatrixView<float> states) const;

  BertConfig config_;
  Pooling pooling_;
  std::size_t max_length_;
  std::vector<float> words_;      // [vocabulary x hidden]
  std::vector<float> positions_;  // [positions x hidden], token type 0 added
  LayerNorm embedding_norm_;
  std::vector<Layer> layers_;
};

Layer load_layer(const BertConfig& config, const Weights& weights) {
  const std::size_t hidden = config.hidden;
  return {weights.linear({"attention.self.query", "attention.self.key", "attention.self.value"}, hidden, hidden),
          weights.linear({"attention.output.dense"}, hidden, hidden),
          weights.linear({"intermediate.dense"}, config.intermediate, hidden),
          weights.linear({"output.dense"}, hidden, config.intermediate),
          weights.layer_norm("attention.output.LayerNorm", hidden, config.epsilon),
          weights.layer_norm("output.LayerNorm", hidden, config.epsilon)};
}

Bert::Bert(const BertConfig& config, const Weights& weights, const Modules& modules)
    : config_(config),
      pooling_(modules.pooling),
      max_length_(modules.max_seq_length ? std::min(modules.max_seq_length, config.positions) : config.positions) {
  const Weights embeddings = weights.at("embeddings");
  words_ = embeddings.matrix("word_embeddings.weight", config.vocabulary, config.hidden);
  positions_ = embeddings.matrix("position_embeddings.weight", config.positions, config.hidden);
  embedding_norm_ = embeddings.layer_norm("LayerNorm", config.hidden, config.epsilon);
  const std::vector<float> types = embeddings.matrix("token_type_embeddings.weight", config.types, config.hidden);
  for (std::size_t i = 0; i < positions_.size(); ++i) positions_[i] += types[i % config.hidden];
  for (std::size_t i = 0; i < config.layers; ++i)
    layers_.push_back(load_layer(config, weights.at("encoder.layer." + std::to_string(i))));
}

void Bert::encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const {
  const std::size_t share = batch.ids.size() / threads + 1;
  const std::vector<Chunk> chunks = plan_chunks(batch, std::clamp(share, smallest_chunk, chunk_tokens));
  std::size_t largest = 0, longest = 0;
  for (const Chunk& chunk : chunks) {
    largest = std::max(largest, chunk.n_tokens);
    longest = std::max(longest, batch.length(chunk.texts.front()));
  }
  std::atomic<std::size_t> next{0};
  const std::size_t workers = std::min(threads, chunks.size());
  parallel_for(workers, 1, [&](std::size_t, std::size_t) {
    Workspace work(config_, largest, longest);
    for (std::size_t i = next++; i < chunks.size(); i = next++) encode_chunk(batch, chunks[i], work, out);
  });
}

void Bert::encode_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work, MatrixView<float> out) const {
  const MatrixView<float> states = rows_of(work.states, chunk.n_tokens, config_.hidden);
  embed(batch, chunk, states);
  for (const Layer& layer : layers_) {
    batch.stop_if_cancelled();
    attend(batch, chunk, layer, work);
    feed_forward(layer, chunk.n_tokens, work);
  }
  std::size_t begin = 0;
  for (std::size_t text : chunk.texts) {
    const std::size_t end = begin + batch.length(text);
    pool(kernels::table().rows, pooling_, states.slice(begin, end), out.row(text));
    begin = end;
  }
}

void Bert::embed(const TokenBatch& batch, const Chunk& chunk, MatrixView<float> states) const {
  const kernels::NnKernels& nn = kernels::table().nn;
  const std::size_t d = config_.hidden;
  std::size_t row = 0;
  for (std::size_t text : chunk.texts) {
    const float* position = positions_.data();
    for (std::int32_t id : batch.text(text)) {
      nn.add_and_normalize(words_.data() + static_cast<std::size_t>(id) * d, position, embedding_norm_.gain.data(),
                           embedding_norm_.bias.data(), embedding_norm_.epsilon, states.row(row++), d);
      position += d;
    }
  }
}

void Bert::attend(const TokenBatch& batch, const Chunk& chunk, const Layer& layer, Workspace& work) const {
  const std::size_t n = chunk.n_tokens, d = config_.hidden;
  const MatrixView<float> states = rows_of(work.states, n, d), context = rows_of(work.context, n, d);
  const MatrixView<float> qkv = rows_of(work.qkv, n, 3 * d), change = rows_of(work.qkv, n, d);
  layer.qkv.apply(states, qkv);
  std::size_t begin = 0;
  for (std::size_t text : chunk.texts) {
    const std::size_t end = begin + batch.length(text);
    work.attention.apply(qkv.slice(begin, end), context.slice(begin, end));
    begin = end;
  }
  layer.attention_output.apply(context, change);  // over Q, K and V, which are done with
  add_and_normalize(change, layer.attention_norm, states);
}

void Bert::feed_forward(const Layer& layer, std::size_t n_tokens, Workspace& work) const {
  for (std::size_t begin = 0; begin < n_tokens; begin += feed_forward_block) {
    const std::size_t n = std::min(feed_forward_block, n_tokens - begin);
    const MatrixView<float> states = rows_of(work.states, n_tokens, config_.hidden).slice(begin, begin + n);
    const MatrixView<float> intermediate = rows_of(work.intermediate, n, config_.intermediate);
    const MatrixView<float> change = rows_of(work.context, n, config_.hidden);
    layer.up.apply(states, intermediate);
    config_.activation(intermediate.data(), n * config_.intermediate);
    layer.down.apply(intermediate, change);
    add_and_normalize(change, layer.output_norm, states);
  }
}

void Bert::add_and_normalize(MatrixView<const float> change, const LayerNorm& norm, MatrixView<float> states) const {
  const kernels::NnKernels& nn = kernels::table().nn;
  for (std::size_t i = 0; i < states.rows(); ++i)
    nn.add_and_normalize(change.row(i), states.row(i), norm.gain.data(), norm.bias.data(), norm.epsilon, states.row(i),
                         config_.hidden);
}

}  // namespace

std::unique_ptr<TextModel> load_bert(const Fields& config, const SafetensorsFile& file, const Modules& modules) {
  const bool prefixed = file.contains("bert.embeddings.word_embeddings.weight");
  return std::make_unique<Bert>(BertConfig::read(config), Weights(file, prefixed ? "bert." : ""), modules);
}

}  // namespace revector
