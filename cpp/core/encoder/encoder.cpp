#include "revector/encoder.hpp"

#include <algorithm>

#include "core/checks.hpp"
#include "core/encoder/text_model.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"
#include "kernels/dispatch.hpp"
#include "revector/device.hpp"

namespace revector {

struct Encoder::Impl {
  std::unique_ptr<TextModel> model;
  EncoderInfo info;
};

namespace {

/// A static model may come without a config.json (WordLlama) or with one that names no type (model2vec).
bool is_static(const std::string& model_type, const SafetensorsFile& file) {
  if (model_type == "static" || model_type == "model2vec") return true;
  return model_type.empty() && (file.contains("embeddings") || file.contains("embedding.weight"));
}

std::unique_ptr<TextModel> load_model(const Fields& config, const SafetensorsFile& file, const Modules& modules) {
  const std::string type = config.string_or("model_type", "");
  if (is_static(type, file)) return load_static(config, file);
  if (type == "bert") return load_bert(config, file, modules);
  config.refuse_unsupported("model_type", "bert, model2vec or static");
}

std::string weights_path(const std::string& folder) {
  std::string path = folder + "/model.safetensors";
  if (file_exists(path)) return path;
  for (const char* other : {"model.safetensors.index.json", "pytorch_model.bin", "onnx/model.onnx"})
    if (file_exists(folder + "/" + other))
      throw EncoderError(folder + " has its weights in " + other + ", which is not supported (model.safetensors is)" +
                         way_out);
  throw EncoderError(path + " is missing; " + folder + " is not the folder of a model, or not all of it");
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

Encoder Encoder::load(const std::string& folder) {
  const Modules modules = read_modules(folder);
  const std::string path = modules.transformer + "/config.json";
  const Fields config = Fields::read_if_there(path).value_or(Fields(path, nlohmann::json::object()));
  const SafetensorsFile file(weights_path(modules.transformer));
  auto impl = std::make_unique<Impl>();
  impl->model = load_model(config, file, modules);
  const TextModel& model = *impl->model;
  impl->info = {model.family(),     modules.transformer,
                file.path(),        model.dimension(),
                model.vocabulary(), model.max_length(),
                modules.pooling,    modules.normalized || config.flag_or("normalize", false)};
  return Encoder(std::move(impl));
}

Encoder::Encoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

const EncoderInfo& Encoder::info() const { return impl_->info; }

void Encoder::encode(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets, MatrixView<float> out,
                     const EncodeOptions& options) const {
  const TokenBatch batch{.ids = ids, .offsets = offsets, .cancelled = options.cancelled};
  batch.require_valid(impl_->info.vocabulary, impl_->info.max_length);
  require_shape(out, batch.n_texts(), impl_->info.dimension, "out");
  if (batch.n_texts() == 0) return;
  const std::size_t available = num_threads();
  impl_->model->encode(batch, options.threads ? std::min(options.threads, available) : available, out);
  finish_rows(out, options.normalize || impl_->info.normalized);
}

}  // namespace revector
