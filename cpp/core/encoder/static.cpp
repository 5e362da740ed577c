// Static models: a table of token vectors and their mean. model2vec may map several tokens to one row ("mapping") and
// weigh each token ("weights"); the mean still divides by the number of tokens.
#include <algorithm>

#include "core/encoder/text_model.hpp"
#include "core/kernels.hpp"
#include "core/prefetch.hpp"
#include "core/thread_pool.hpp"

namespace revector {
namespace {

constexpr std::size_t texts_per_piece = 64;
constexpr std::size_t tokens_ahead = 4;            // rows that are fetched while one is added
constexpr std::size_t model2vec_max_length = 512;  // what model2vec takes where config.json does not say

class StaticTable : public TextModel {
 public:
  StaticTable(const Fields& config, const Checkpoint& file, const std::string& tensor);

  const char* family() const override { return model2vec_ ? "model2vec" : "static"; }
  std::size_t dimension() const override { return dimension_; }
  std::size_t vocabulary() const override { return rows_.empty() ? n_rows_ : rows_.size(); }
  std::size_t max_length() const override { return max_length_; }
  Precision precision() const override { return Precision::float32; }
  void encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const override;

 private:
  void encode_text(std::span<const std::int32_t> ids, float* out) const;
  const float* row_of(std::int32_t id) const;
  /// Rows lie anywhere in a table far larger than the caches, and no hardware guesses the next one.
  [[gnu::always_inline]] void fetch(const float* row) const { prefetch(row, dimension_ * sizeof(float)); }

  bool model2vec_;
  std::size_t n_rows_ = 0, dimension_ = 0, max_length_ = 0;
  std::vector<float> table_;        // [n_rows x dimension]
  std::vector<std::int64_t> rows_;  // row of each token; empty: its id
  std::vector<float> weights_;      // weight of each token; empty: 1
};

/// @throws EncoderError unless the tensor has `n` extents, none of them 0
const Shape& require_extents(const Checkpoint& file, const std::string& name, std::size_t n) {
  const Shape& shape = file.at(name).shape;
  if (shape.size() != n || std::find(shape.begin(), shape.end(), 0U) != shape.end())
    throw EncoderError(file.path() + ": tensor '" + name + "' has shape " + to_string(shape) + ", expected " +
                       (n == 2 ? "tokens x dimension" : "one element a token"));
  return shape;
}

/// The table as float32. model2vec's int8 rows are steps of one size for the whole table, which no file keeps: a unit
/// row does not depend on it. Sizes of steps that somebody else kept for each row would decide, so they are refused.
std::vector<float> read_table(const Checkpoint& file, const std::string& name, const Shape& shape) {
  if (file.at(name).dtype != Dtype::int8) return file.floats(name, shape);
  const std::vector<std::string> names = file.file_of(name).names();
  const auto other = std::find_if(names.begin(), names.end(), [&](const std::string& each) {
    return each != name && each != "mapping" && each != "weights";
  });
  if (other != names.end())
    throw EncoderError(file.path() + ": tensor '" + *other + "' beside '" + name +
                       "' of dtype I8 is not supported (mapping and weights are); save the table as F32");
  return file.file_of(name).steps(name, shape);
}

StaticTable::StaticTable(const Fields& config, const Checkpoint& file, const std::string& tensor)
    : model2vec_(tensor == "embeddings" || config.string_or("model_type", "") == "model2vec") {
  const Shape& shape = require_extents(file, tensor, 2);
  n_rows_ = shape[0];
  dimension_ = shape[1];
  const bool unsaid = model2vec_ && !config.mentions("max_length");
  max_length_ = unsaid ? model2vec_max_length : config.size_or("max_length", 0);
  table_ = read_table(file, tensor, shape);
  if (file.contains("mapping")) rows_ = file.integers("mapping", require_extents(file, "mapping", 1));
  for (std::int64_t row : rows_)
    if (row < 0 || static_cast<std::size_t>(row) >= n_rows_)
      throw EncoderError(file.path() + ": tensor 'mapping' holds " + std::to_string(row) + ", expected 0 to " +
                         std::to_string(n_rows_ - 1));
  if (file.contains("weights")) weights_ = file.floats("weights", {vocabulary()});
}

void StaticTable::encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const {
  const std::size_t share = batch.n_texts() / threads + 1;
  parallel_for(batch.n_texts(), std::max(share, texts_per_piece), [&](std::size_t begin, std::size_t end) {
    batch.stop_if_cancelled();
    for (std::size_t i = begin; i < end; ++i) encode_text(batch.text(i), out.row(i));
  });
}

void StaticTable::encode_text(std::span<const std::int32_t> ids, float* out) const {
  const kernels::RowKernels& rows = kernels::table().rows;
  std::fill(out, out + dimension_, 0.0F);
  for (std::size_t i = 0; i < std::min(ids.size(), tokens_ahead); ++i) fetch(row_of(ids[i]));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i + tokens_ahead < ids.size()) fetch(row_of(ids[i + tokens_ahead]));
    const float weight = weights_.empty() ? 1.0F : weights_[static_cast<std::size_t>(ids[i])];
    rows.add_scaled(row_of(ids[i]), weight, out, dimension_);
  }
  if (!ids.empty()) rows.scale(out, 1.0F / static_cast<float>(ids.size()), out, dimension_);
}

const float* StaticTable::row_of(std::int32_t id) const {
  const auto token = static_cast<std::size_t>(id);
  return table_.data() + (rows_.empty() ? token : static_cast<std::size_t>(rows_[token])) * dimension_;
}

/// model2vec writes "embeddings", sentence-transformers and WordLlama "embedding.weight"; a config may name another.
std::string table_name(const Fields& config, const Checkpoint& file) {
  if (config.has("tensor")) return config.string_or("tensor", "");
  return file.contains("embeddings") ? "embeddings" : "embedding.weight";
}

}  // namespace

std::unique_ptr<TextModel> load_static(const Fields& config, const Checkpoint& file) {
  if (config.string_or("pooling", "mean") != "mean") config.refuse_unsupported("pooling", "mean");
  return std::make_unique<StaticTable>(config, file, table_name(config, file));
}

}  // namespace revector
