// A thread takes a chunk of whole texts and carries it through all layers before it takes the next: the chunk's states
// stay in its L2, and threads meet only at the end. Tokens of all texts lie one after the other, so every product but
// those of attention is one large one, and nothing is spent on padding.
#include "core/encoder/transformer.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/encoder/calibration.hpp"
#include "core/encoder/stage_clock.hpp"
#include "core/thread_pool.hpp"
#include "kernels/dispatch.hpp"

namespace revector {
namespace {

constexpr std::size_t chunk_tokens = 256;       // states of 256 x 384 floats and their Q, K, V: 2 MB
constexpr std::size_t smallest_chunk = 64;      // below this the products run at a fraction of their speed
constexpr std::size_t feed_forward_block = 96;  // rows whose intermediate states (96 x 1536 floats) are held at once

MatrixView<float> rows_of(AlignedFloats& memory, std::size_t n, std::size_t width) { return {memory.data(), n, width}; }

/// Integers are too coarse for attention's weights, which are small products between activations: it takes the next
/// faster format.
Precision attention_precision(Precision precision) {
  return precision == Precision::int8 ? fastest_precision() : precision;
}

}  // namespace

/// Scratch memory of one thread, for chunks of up to n tokens.
struct Transformer::Workspace {
  Workspace(const TransformerSizes& sizes, Precision precision, std::size_t n, std::size_t longest_text, bool measured,
            const Observer& observer)
      : states(n * sizes.hidden),
        qkv(n * 3 * sizes.hidden),
        context(n * sizes.hidden),
        intermediate(std::min(n, feed_forward_block) * sizes.intermediate),
        place(sizes.hidden),
        attention(sizes.hidden, sizes.heads, longest_text, attention_precision(precision)),
        input(precision, n, sizes.hidden),
        inner(precision, std::min(n, feed_forward_block), sizes.intermediate),
        clock(measured),
        observe(observer) {}

  AlignedFloats states, qkv, context, intermediate;
  AlignedFloats place;  // what position and type add to one token
  Attention attention;
  Operand input, inner;  // of the products that take states, and intermediate states
  StageClock clock;
  const Observer& observe;
};

Transformer::Transformer(TransformerParts parts, Precision precision)
    : parts_(std::move(parts)), precision_(Precision::float32) {
  std::vector<ChannelsOfLayer> apart;
  if (precision == Precision::int8) {
    pack_layers(Precision::float32, {});
    apart = outlier_channels(*this);
  }
  precision_ = precision;
  if (precision != Precision::float32) parts_.activation = coarse(parts_.activation);
  pack_layers(precision, std::move(apart));
  parts_.read_layer = nullptr;
}

void Transformer::pack_layers(Precision precision, std::vector<ChannelsOfLayer> apart) {
  layers_.clear();
  for (std::size_t i = 0; i < parts_.sizes.layers; ++i)
    layers_.push_back(pack(parts_.read_layer(i), precision, apart.empty() ? ChannelsOfLayer() : std::move(apart[i])));
}

Transformer::Layer Transformer::pack(LayerWeights weights, Precision precision, ChannelsOfLayer apart) {
  const auto linear = [&](Product product, LinearWeights& of) {
    return Linear(std::move(of), precision, std::move(apart[static_cast<std::size_t>(product)]));
  };
  return {linear(Product::qkv, weights.qkv), linear(Product::attention_output, weights.attention_output),
          linear(Product::up, weights.up),   linear(Product::down, weights.down),
          std::move(weights.attention_norm), std::move(weights.output_norm)};
}

std::size_t Transformer::n_types() const {
  return parts_.types.empty() ? 1 : parts_.types.size() / parts_.sizes.hidden;
}

void Transformer::run(const TokenBatch& batch, std::size_t threads, const Consumer& consume,
                      const Observer& observe) const {
  const std::size_t share = batch.ids.size() / threads + 1;
  const std::vector<Chunk> chunks = plan_chunks(batch, std::clamp(share, smallest_chunk, chunk_tokens));
  std::size_t largest = 0, longest = 0;
  for (const Chunk& chunk : chunks) {
    largest = std::max(largest, chunk.n_tokens);
    longest = std::max(longest, batch.length(chunk.texts.front()));
  }
  std::atomic<std::size_t> next{0};
  std::mutex adding;
  const std::size_t workers = std::min(threads, chunks.size());
  parallel_for(workers, 1, [&](std::size_t, std::size_t) {
    Workspace work(parts_.sizes, precision_, largest, longest, batch.stages != nullptr, observe);
    for (std::size_t i = next++; i < chunks.size(); i = next++) run_chunk(batch, chunks[i], work, consume);
    if (batch.stages == nullptr) return;
    const std::scoped_lock lock(adding);
    work.clock.add_to(*batch.stages);
  });
}

void Transformer::run_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work,
                            const Consumer& consume) const {
  embed(batch, chunk, work);
  work.clock.end(&StageSeconds::embeddings);
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    batch.stop_if_cancelled();
    attend(batch, chunk, layer, work);
    feed_forward(layer, chunk.n_tokens, work);
  }
  const MatrixView<float> states = rows_of(work.states, chunk.n_tokens, parts_.sizes.hidden);
  std::size_t begin = 0;
  for (std::size_t text : chunk.texts) {
    const std::size_t end = begin + batch.length(text);
    consume(text, states.slice(begin, end));
    begin = end;
  }
}

void Transformer::embed(const TokenBatch& batch, const Chunk& chunk, Workspace& work) const {
  const kernels::KernelTable& kernels = kernels::table();
  const std::size_t d = parts_.sizes.hidden;
  const LayerNorm& norm = parts_.embedding_norm;
  float* state = work.states.data();
  for (std::size_t text : chunk.texts) {
    std::size_t next = parts_.position_rule.first;
    for (std::size_t i = 0; i < batch.length(text); ++i, state += d) {
      const std::int32_t id = batch.text(text)[i];
      const std::size_t position = id == parts_.position_rule.pad ? static_cast<std::size_t>(id) : next++;
      const float* place = parts_.positions.data() + position * d;
      if (!parts_.types.empty()) {
        std::copy(place, place + d, work.place.data());
        kernels.rows.add_scaled(parts_.types.data() + batch.type(text, i) * d, 1.0F, work.place.data(), d);
        place = work.place.data();
      }
      kernels.nn.add_and_normalize(parts_.words.data() + static_cast<std::size_t>(id) * d, place, norm.gain.data(),
                                   norm.bias.data(), norm.epsilon, state, d);
    }
  }
}

void Transformer::attend(const TokenBatch& batch, const Chunk& chunk, std::size_t i, Workspace& work) const {
  const Layer& layer = layers_[i];
  const std::size_t n = chunk.n_tokens, d = parts_.sizes.hidden;
  const MatrixView<float> states = rows_of(work.states, n, d), context = rows_of(work.context, n, d);
  const MatrixView<float> qkv = rows_of(work.qkv, n, 3 * d), change = rows_of(work.qkv, n, d);
  if (work.observe) work.observe(i, Product::qkv, states);
  work.input.assign(states, layer.qkv.apart());
  work.clock.end(&StageSeconds::conversion);
  layer.qkv.apply(work.input, qkv);
  work.clock.end(&StageSeconds::products);
  std::size_t begin = 0;
  for (std::size_t text : chunk.texts) {
    const std::size_t end = begin + batch.length(text);
    work.attention.apply(qkv.slice(begin, end), context.slice(begin, end),
                         parts_.relative_bias ? &*parts_.relative_bias : nullptr);
    begin = end;
  }
  work.clock.end(&StageSeconds::attention);
  if (work.observe) work.observe(i, Product::attention_output, context);
  work.input.assign(context, layer.attention_output.apart());
  work.clock.end(&StageSeconds::conversion);
  layer.attention_output.apply(work.input, change);  // over Q, K and V, which are done with
  work.clock.end(&StageSeconds::products);
  add_and_normalize(change, layer.attention_norm, states);
  work.clock.end(&StageSeconds::norms);
}

void Transformer::feed_forward(std::size_t i, std::size_t n_tokens, Workspace& work) const {
  const Layer& layer = layers_[i];
  const std::size_t d = parts_.sizes.hidden, width = parts_.sizes.intermediate;
  for (std::size_t begin = 0; begin < n_tokens; begin += feed_forward_block) {
    const std::size_t n = std::min(feed_forward_block, n_tokens - begin);
    const MatrixView<float> states = rows_of(work.states, n_tokens, d).slice(begin, begin + n);
    const MatrixView<float> intermediate = rows_of(work.intermediate, n, width);
    const MatrixView<float> change = rows_of(work.context, n, d);
    if (work.observe) work.observe(i, Product::up, states);
    work.input.assign(states, layer.up.apart());
    work.clock.end(&StageSeconds::conversion);
    layer.up.apply(work.input, intermediate);
    work.clock.end(&StageSeconds::products);
    work.inner.assign(intermediate, parts_.activation, layer.down.apart());
    if (work.observe) work.observe(i, Product::down, intermediate);
    work.clock.end(&StageSeconds::activation);
    layer.down.apply(work.inner, change);
    work.clock.end(&StageSeconds::products);
    add_and_normalize(change, layer.output_norm, states);
    work.clock.end(&StageSeconds::norms);
  }
}

void Transformer::add_and_normalize(MatrixView<const float> change, const LayerNorm& norm,
                                    MatrixView<float> states) const {
  const kernels::NnKernels& nn = kernels::table().nn;
  for (std::size_t i = 0; i < states.rows(); ++i)
    nn.add_and_normalize(change.row(i), states.row(i), norm.gain.data(), norm.bias.data(), norm.epsilon, states.row(i),
                         parts_.sizes.hidden);
}

}  // namespace revector
