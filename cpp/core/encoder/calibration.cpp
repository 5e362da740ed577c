#include "core/encoder/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <numeric>
#include <utility>

namespace revector {
namespace {

// Measured on MiniLM, BGE and MPNet: with four the error falls to a third, eight add next to nothing.
constexpr std::size_t channels_apart = 4;

constexpr std::size_t special_ids = 128;  // tokenisers number their special tokens first
constexpr std::size_t mixed_texts = 3, mixed_length = 64;

/// Texts of two tokens that pair the special ids, and longer ones of ids from all over the vocabulary.
struct SampleTexts {
  SampleTexts(std::size_t vocabulary, std::size_t max_length) {
    const std::size_t pair = std::min<std::size_t>(2, max_length);
    for (std::size_t id = 0; id < std::min(special_ids, vocabulary); id += pair)
      add(std::min(pair, vocabulary - id), [id](std::size_t i) { return id + i; });
    constexpr std::size_t odd = 2654435761;  // Knuth's multiplicative hash: spreads 1, 2, 3 … evenly
    for (std::size_t text = 0; text < mixed_texts; ++text)
      add(std::min(mixed_length, max_length),
          [=](std::size_t i) { return (text * mixed_length + i + 1) * odd % vocabulary; });
  }

  template <class Id>
  void add(std::size_t length, Id id) {
    for (std::size_t i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>(id(i)));
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }

  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets{0};
};

/// The largest size of each channel.
struct Peaks {
  void observe(MatrixView<const float> x) {
    sizes.resize(x.cols());
    for (std::size_t i = 0; i < x.rows(); ++i)
      for (std::size_t channel = 0; channel < x.cols(); ++channel)
        sizes[channel] = std::max(sizes[channel], std::abs(x.row(i)[channel]));
  }

  std::vector<std::uint32_t> largest(std::size_t n) const {
    std::vector<std::uint32_t> channels(sizes.size());
    std::iota(channels.begin(), channels.end(), 0U);
    n = std::min(n, channels.size());
    const auto end = channels.begin() + static_cast<std::ptrdiff_t>(n);
    std::partial_sort(channels.begin(), end, channels.end(), [this](std::uint32_t a, std::uint32_t b) {
      return sizes[a] != sizes[b] ? sizes[a] > sizes[b] : a < b;
    });
    return {channels.begin(), end};
  }

  std::vector<float> sizes;
};

using LayerReader = std::function<LayerWeights(std::size_t layer)>;

/// @param pack  makes each product of each layer, always in this order
template <class Pack>
std::vector<PackedLayer> pack_layers(const LayerReader& read_layer, std::size_t n, Pack pack) {
  std::vector<PackedLayer> layers;
  for (std::size_t i = 0; i < n; ++i) {
    LayerWeights layer = read_layer(i);
    layers.push_back({pack(std::move(layer.qkv)), pack(std::move(layer.attention_output)), pack(std::move(layer.up)),
                      pack(std::move(layer.down)), std::move(layer.attention_norm), std::move(layer.output_norm)});
  }
  return layers;
}

/// What each product of each layer reads, in the order in which they are packed. Parts are lent to a transformer in
/// float32, and are as before when it is gone.
std::deque<Peaks> measure(TransformerParts& parts, const LayerReader& read_layer) {
  std::deque<Peaks> peaks;  // which stay where they are
  std::vector<PackedLayer> layers = pack_layers(read_layer, parts.sizes.layers, [&](LinearWeights weights) {
    return Linear(std::move(weights), [&seen = peaks.emplace_back()](auto x) { seen.observe(x); });
  });
  Transformer exact(std::move(parts), std::move(layers), Precision::float32);
  const SampleTexts texts(exact.sizes().vocabulary, exact.max_length());
  const TokenBatch batch{.ids = texts.ids, .offsets = texts.offsets, .types = {}};
  exact.run(batch, 1, [](std::size_t, auto) {});  // on one thread, because peaks are shared
  parts = std::move(exact).release();
  return peaks;
}

}  // namespace

Transformer make_transformer(TransformerParts parts, Precision precision) {
  const LayerReader read_layer = std::exchange(parts.read_layer, nullptr);
  std::deque<Peaks> peaks;
  if (precision == Precision::int8) peaks = measure(parts, read_layer);
  if (precision != Precision::float32) parts.activation = coarse(parts.activation);
  std::size_t next = 0;
  std::vector<PackedLayer> layers = pack_layers(read_layer, parts.sizes.layers, [&](LinearWeights weights) {
    if (peaks.empty()) return Linear(std::move(weights), precision);
    return Linear(std::move(weights), precision, peaks[next++].largest(channels_apart));
  });
  return {std::move(parts), std::move(layers), precision};
}

}  // namespace revector
