#include "revector/cross_encoder.hpp"

#include <algorithm>

#include "core/checks.hpp"
#include "core/encoder/calibration.hpp"
#include "core/encoder/families/family.hpp"
#include "core/encoder/modules.hpp"
#include "core/kernels.hpp"
#include "revector/device.hpp"

namespace revector {
namespace {

/// out(activation(dense(state of the first token)))
struct Head {
  Linear dense, out;
  Activation activation;
  std::size_t labels;

  void apply(MatrixView<const float> state, float* logits) const {
    std::vector<float> hidden(state.cols());
    const MatrixView<float> inner(hidden.data(), 1, hidden.size());
    dense.apply(state, inner);
    activation(hidden.data(), hidden.size());
    out.apply(inner, {logits, 1, labels});
  }
};

void require_classifier(const Fields& config) {
  constexpr const char* suffix = "ForSequenceClassification";
  if (!config.has("architectures")) return;
  for (const std::string& name : config.strings("architectures"))
    if (name.ends_with(suffix)) return;
  config.refuse("architectures", std::string("one that ends in ") + suffix + "; this is not a cross-encoder");
}

/// As many labels as the last layer has rows; what config.json says of them must agree.
std::size_t read_labels(const Fields& config, const Checkpoint& checkpoint, const std::string& out) {
  const Shape& shape = checkpoint.at(out + ".weight").shape;
  const std::size_t labels = shape.empty() ? 0 : shape[0];
  if (labels == 0)
    throw EncoderError(checkpoint.path() + ": tensor '" + out + ".weight' has shape " + to_string(shape) +
                       ", expected labels x hidden");
  if (config.size_or("num_labels", labels) != labels)
    config.refuse("num_labels", std::to_string(labels) + ", the rows of " + out + ".weight");
  if (config.has("id2label") && config.object("id2label").size() != labels)
    config.refuse("id2label", std::to_string(labels) + " labels, the rows of " + out + ".weight");
  return labels;
}

Head load_head(const Family& family, const Fields& config, const Checkpoint& checkpoint, std::size_t hidden) {
  const HeadNames& names = family.head;
  const Weights outer(checkpoint, "");
  const Weights& inner = names.dense_in_transformer ? transformer_weights(family, checkpoint) : outer;
  const std::size_t labels = read_labels(config, checkpoint, names.out);
  const Activation activation = names.activation == std::string("relu") ? kernels::table().nn.relu : apply_tanh;
  return {Linear(inner.linear({names.dense}, hidden, hidden)), Linear(outer.linear({names.out}, labels, hidden)),
          activation, labels};
}

/// A cross-encoder may have a modules.json that lists its transformer and nothing else.
Modules read_own_modules(const std::string& folder) {
  Modules modules = read_modules(folder);
  if (file_exists(modules.path) && (modules.pools || !modules.steps.empty()))
    throw EncoderError(modules.path +
                       " describes a model of single texts, expected a Transformer and nothing else; "
                       "load it as an Encoder");
  return modules;
}

}  // namespace

struct CrossEncoder::Impl {
  Transformer transformer;
  Head head;
  CrossEncoderInfo info;
};

CrossEncoder CrossEncoder::load(const std::string& folder, Precision precision) {
  const Modules modules = read_own_modules(folder);
  const Fields config = Fields::read(modules.transformer + "/config.json");
  const KnownModel& model = known_model(config);
  require_classifier(config);
  const Checkpoint checkpoint(modules.transformer);
  Transformer transformer = make_transformer(model.load(config, checkpoint), precision);
  Head head = load_head(model.family, config, checkpoint, transformer.sizes().hidden);
  const CrossEncoderInfo info{.family = model.model_type,
                              .transformer = modules.transformer,
                              .files = checkpoint.files(),
                              .labels = head.labels,
                              .vocabulary = transformer.sizes().vocabulary,
                              .types = transformer.n_types(),
                              .max_length = modules.limit(transformer.max_length())};
  return CrossEncoder(std::make_unique<Impl>(std::move(transformer), std::move(head), info));
}

CrossEncoder::CrossEncoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CrossEncoder::~CrossEncoder() = default;
CrossEncoder::CrossEncoder(CrossEncoder&&) noexcept = default;
CrossEncoder& CrossEncoder::operator=(CrossEncoder&&) noexcept = default;

const CrossEncoderInfo& CrossEncoder::info() const { return impl_->info; }

void CrossEncoder::score(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets,
                         std::span<const std::int32_t> types, MatrixView<float> out, std::size_t threads) const {
  const TokenBatch batch{.ids = ids, .offsets = offsets, .types = types};
  const CrossEncoderInfo& info = impl_->info;
  batch.require_valid(info.vocabulary, info.max_length);
  batch.require_types(info.types);
  require_shape(out, batch.n_texts(), info.labels, "out");
  for (std::size_t i = 0; i < batch.n_texts(); ++i)
    if (batch.length(i) == 0)
      throw InvalidArgument("pair " + std::to_string(i) + " has no tokens, expected at least the special ones");
  if (batch.n_texts() == 0) return;
  impl_->transformer.run(batch, threads ? std::min(threads, num_threads()) : num_threads(),
                         [&](std::size_t pair, MatrixView<const float> states) {
                           impl_->head.apply(states.slice(0, 1), out.row(pair));
                           if (!finite_row(out.row(pair), info.labels))
                             throw EncoderError("the logits of pair " + std::to_string(pair) +
                                                " hold NaN or infinity; the weights of the model are broken");
                         });
}

}  // namespace revector
