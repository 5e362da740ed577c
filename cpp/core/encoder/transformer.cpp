// A thread takes a chunk of whole texts and carries it through all layers before it takes the next: the chunk's states
// stay in its L2, and threads meet only at the end. Tokens of all texts lie one after the other, so every product but
// those of attention is one large one, and nothing is spent on padding.
#include "core/encoder/transformer.hpp"

#include <algorithm>
#include <atomic>

#include "core/kernels.hpp"
#include "core/thread_pool.hpp"

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
  Workspace(const TransformerSizes& sizes, Precision precision, std::size_t n, std::size_t longest_text)
      : states(n * sizes.hidden),
        qkv(n * 3 * sizes.hidden),
        context(n * sizes.hidden),
        intermediate(std::min(n, feed_forward_block) * sizes.intermediate),
        place(sizes.hidden),
        attention(sizes.hidden, sizes.heads, longest_text, attention_precision(precision)),
        input(precision, n, sizes.hidden),
        inner(precision, std::min(n, feed_forward_block), sizes.intermediate) {}

  AlignedFloats states, qkv, context, intermediate;
  AlignedFloats place;  // what position and type add to one token
  Attention attention;
  Operand input, inner;  // of the products that take states, and intermediate states
};

std::size_t Transformer::n_types() const {
  return parts_.types.empty() ? 1 : parts_.types.size() / parts_.sizes.hidden;
}

void Transformer::run(const TokenBatch& batch, std::size_t threads, const Consumer& consume) const {
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
    Workspace work(parts_.sizes, precision_, largest, longest);
    for (std::size_t i = next++; i < chunks.size(); i = next++) run_chunk(batch, chunks[i], work, consume);
  });
}

void Transformer::run_chunk(const TokenBatch& batch, const Chunk& chunk, Workspace& work,
                            const Consumer& consume) const {
  embed(batch, chunk, work);
  for (const PackedLayer& layer : layers_) {
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

void Transformer::attend(const TokenBatch& batch, const Chunk& chunk, const PackedLayer& layer, Workspace& work) const {
  const std::size_t n = chunk.n_tokens, d = parts_.sizes.hidden;
  const MatrixView<float> states = rows_of(work.states, n, d), context = rows_of(work.context, n, d);
  const MatrixView<float> qkv = rows_of(work.qkv, n, 3 * d), change = rows_of(work.qkv, n, d);
  work.input.assign(states, layer.qkv.apart());
  layer.qkv.apply(work.input, qkv);
  std::size_t begin = 0;
  for (std::size_t text : chunk.texts) {
    const std::size_t end = begin + batch.length(text);
    work.attention.apply(qkv.slice(begin, end), context.slice(begin, end),
                         parts_.relative_bias ? &*parts_.relative_bias : nullptr);
    begin = end;
  }
  work.input.assign(context, layer.attention_output.apart());
  layer.attention_output.apply(work.input, change);  // over Q, K and V, which are done with
  add_and_normalize(change, layer.attention_norm, states);
}

void Transformer::feed_forward(const PackedLayer& layer, std::size_t n_tokens, Workspace& work) const {
  const std::size_t d = parts_.sizes.hidden, width = parts_.sizes.intermediate;
  for (std::size_t begin = 0; begin < n_tokens; begin += feed_forward_block) {
    const std::size_t n = std::min(feed_forward_block, n_tokens - begin);
    const MatrixView<float> states = rows_of(work.states, n_tokens, d).slice(begin, begin + n);
    const MatrixView<float> intermediate = rows_of(work.intermediate, n, width);
    const MatrixView<float> change = rows_of(work.context, n, d);
    work.input.assign(states, layer.up.apart());
    layer.up.apply(work.input, intermediate);
    work.inner.assign(intermediate, parts_.activation, layer.down.apart());
    layer.down.apply(work.inner, change);
    add_and_normalize(change, layer.output_norm, states);
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
