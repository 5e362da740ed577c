#include "revector/encoder.hpp"

#include <algorithm>

#include "core/checks.hpp"
#include "core/encoder/projection.hpp"
#include "core/encoder/text_model.hpp"
#include "core/kernels.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"
#include "revector/device.hpp"

namespace revector {

struct Encoder::Impl {
  std::unique_ptr<TextModel> model;
  Projection projection;
  EncoderInfo info;
};

namespace {

/// A static model may come without a config.json (WordLlama) or with one that names no type (model2vec).
bool is_static(const std::string& model_type, const Checkpoint& checkpoint) {
  if (model_type == "static" || model_type == "model2vec") return true;
  return model_type.empty() && (checkpoint.contains("embeddings") || checkpoint.contains("embedding.weight"));
}

std::unique_ptr<TextModel> load_model(const Fields& config, const Checkpoint& checkpoint, const Modules& modules,
                                      Precision precision) {
  if (is_static(config.string_or("model_type", ""), checkpoint)) return load_static(config, checkpoint);
  if (!modules.pools)
    throw EncoderError(modules.transformer +
                       " has no Pooling in its modules.json, expected one behind the Transformer" + way_out);
  return load_pooled(config, checkpoint, modules, precision);
}

/// The order of modules counts where there is more than a pooling, of which the info tells by itself.
std::vector<std::string> files_of(const Checkpoint& checkpoint, const Projection& projection, const Modules& modules) {
  std::vector<std::string> files = checkpoint.files();
  for (std::string& file : projection.files()) files.push_back(std::move(file));
  if (!projection.empty()) files.push_back(modules.path);
  return files;
}

/// @throws EncoderError naming the first text whose row is not finite
void finish_rows(MatrixView<float> rows, bool normalize) {
  const kernels::RowKernels& kernel = kernels::table().rows;
  parallel_for(rows.rows(), 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float* row = rows.row(i);
      const bool sound = normalize ? normalize_row(kernel, row, row, rows.cols()) : finite_row(row, rows.cols());
      if (!sound)
        throw EncoderError("the vector of text " + std::to_string(i) +
                           " holds NaN or infinity; the weights of the model are broken");
    }
  });
}

}  // namespace

Encoder Encoder::load(const std::string& folder, std::optional<Precision> precision) {
  const Modules modules = read_modules(folder);
  const std::string path = modules.transformer + "/config.json";
  const Fields config = Fields::read_if_there(path).value_or(Fields(path, nlohmann::json::object()));
  const Checkpoint checkpoint(modules.transformer);
  auto impl = std::make_unique<Impl>();
  impl->model = load_model(config, checkpoint, modules, precision.value_or(fastest_precision()));
  const TextModel& model = *impl->model;
  impl->projection = Projection(modules.steps, model.dimension());
  impl->info = {.family = model.family(),
                .transformer = modules.transformer,
                .weights = checkpoint.path(),
                .files = files_of(checkpoint, impl->projection, modules),
                .dimension = impl->projection.empty() ? model.dimension() : impl->projection.width(),
                .vocabulary = model.vocabulary(),
                .max_length = model.max_length(),
                .precision = model.precision(),
                .pooling = modules.pooling,
                .normalized = modules.normalized() || config.flag_or("normalize", false)};
  return Encoder(std::move(impl));
}

Encoder::Encoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

const EncoderInfo& Encoder::info() const { return impl_->info; }

void Encoder::encode(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets, MatrixView<float> out,
                     const EncodeOptions& options) const {
  const TokenBatch batch{
      .ids = ids, .offsets = offsets, .types = {}, .cancelled = options.cancelled, .unpooled = options.unpooled};
  batch.require_valid(impl_->info.vocabulary, impl_->info.max_length);
  require_shape(out, batch.n_texts(), impl_->info.dimension, "out");
  if (batch.n_texts() == 0) return;
  const std::size_t threads = options.threads ? std::min(options.threads, num_threads()) : num_threads();
  const TextModel& model = *impl_->model;
  if (impl_->projection.empty()) {
    model.encode(batch, threads, out);
  } else {
    std::vector<float> memory(batch.n_texts() * model.dimension());
    const MatrixView<float> pooled(memory.data(), batch.n_texts(), model.dimension());
    model.encode(batch, threads, pooled);
    impl_->projection.apply(pooled, out);
  }
  finish_rows(out, options.normalize || impl_->info.normalized);
}

}  // namespace revector
