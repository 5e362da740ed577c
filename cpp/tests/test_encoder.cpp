#include "revector/encoder.hpp"

#include <atomic>
#include <limits>
#include <thread>

#include "encoding.hpp"

namespace {

using nlohmann::json;
using revector::Encoder;
using revector::EncoderError;

TEST(a_text_does_not_depend_on_its_batch_nor_on_threads) {
  const ModelShape shape;
  const TemporaryFolder folder;
  write_model(folder, bert_config(shape), bert_tensors(shape));
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < 60; ++i) lengths.push_back(i * 7 % 41);
  const Texts texts(lengths, shape.vocabulary);
  revector::set_num_threads(4);
  const std::vector<float> together = encode(encoder, texts);
  CHECK(encode(encoder, texts, {.threads = 1}) == together);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<float> alone(shape.hidden);
    const std::vector<std::int64_t> offsets = {0, static_cast<std::int64_t>(texts[i].size())};
    encoder.encode(texts[i], offsets, {alone.data(), 1, shape.hidden});
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<std::ptrdiff_t>(i * shape.hidden)));
  }
}

TEST(several_threads_may_encode_at_once) {
  const ModelShape shape;
  const TemporaryFolder folder;
  write_model(folder, bert_config(shape), bert_tensors(shape));
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  const Texts texts({30, 40, 5, 20, 40, 31, 17, 22, 9, 40}, shape.vocabulary);
  const std::vector<float> expected = encode(encoder, texts);
  std::vector<std::vector<float>> found(8);
  std::vector<std::thread> threads;
  for (auto& out : found) threads.emplace_back([&] { out = encode(encoder, texts); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& out : found) CHECK(out == expected);
}

TEST(work_that_is_called_off_ends) {
  const TemporaryFolder transformer, table;
  write_model(transformer, bert_config({}), bert_tensors({}));
  table.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({50, 39}, 1)}}));
  const std::atomic<bool> never{false}, already{true};
  for (const TemporaryFolder* folder : {&transformer, &table}) {
    const Encoder encoder = Encoder::load(folder->path());
    const Texts texts({5, 12, 0, 3}, 50);
    CHECK(encode(encoder, texts, {.cancelled = &never}) == encode(encoder, texts));
    CHECK_THROWS(revector::Cancelled, encode(encoder, texts, {.cancelled = &already}));
  }
}

TEST(bad_tokens_are_refused) {
  const TemporaryFolder folder;
  write_model(folder, bert_config({}), bert_tensors({}));
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  std::vector<float> out(4 * 39);
  const auto run = [&](std::vector<std::int32_t> ids, std::vector<std::int64_t> offsets, std::size_t rows) {
    encoder.encode(ids, offsets, {out.data(), rows, 39});
  };
  CHECK_THROWS(revector::InvalidArgument, (run({1, 50}, {0, 2}, 1), 0));
  CHECK_THROWS(revector::InvalidArgument, (run({1, -1}, {0, 2}, 1), 0));
  CHECK_THROWS(revector::InvalidArgument, (run({1, 2}, {0, 3}, 1), 0));
  CHECK_THROWS(revector::InvalidArgument, (run({1, 2}, {1, 2}, 1), 0));
  CHECK_THROWS(revector::InvalidArgument, (run({1, 2}, {0, 2, 1, 2}, 3), 0));
  CHECK_THROWS(revector::InvalidArgument, (run({}, {}, 0), 0));
  CHECK_THROWS(revector::InvalidArgument, (run(std::vector<std::int32_t>(41, 1), {0, 41}, 1), 0));
  CHECK_THROWS(revector::ShapeError, (run({1, 2}, {0, 2}, 2), 0));
  run({}, {0}, 0);
}

TEST(weights_that_give_nan_are_reported) {
  const TemporaryFolder folder;
  Tensors tensors = bert_tensors({});
  tensors["encoder.layer.1.output.dense.bias"].values[3] = std::numeric_limits<float>::quiet_NaN();
  write_model(folder, bert_config({}), tensors);
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  CHECK_THROWS(EncoderError, encode(encoder, Texts({5}, 50)));
  CHECK_THROWS(EncoderError, encode(encoder, Texts({5}, 50), {.normalize = false}));
}

/// A sound model with one field of config.json set.
std::string refusal_with(const char* field, const json& value) {
  const TemporaryFolder folder;
  json config = bert_config({});
  config[field] = value;
  write_model(folder, config, bert_tensors({}));
  return refusal(folder);
}

TEST(configurations_that_are_not_supported_name_the_field_and_the_way_out) {
  for (const auto& [field, value] : std::vector<std::pair<const char*, const char*>>{
           {"model_type", "t5"}, {"hidden_act", "silu"}, {"position_embedding_type", "relative_key"}}) {
    const std::string message = refusal_with(field, value);
    CHECK(says(message, std::string(field) + " is \"" + value + "\""));
    CHECK(says(message, "use the sentence-transformers encoder"));
  }
  CHECK(says(refusal_with("is_decoder", true), "is_decoder is true"));
  CHECK(says(refusal_with("hidden_size", "many"), "hidden_size is \"many\", expected a whole number"));
  CHECK(says(refusal_with("hidden_size", -4), "hidden_size is -4, expected a whole number"));
  CHECK(says(refusal_with("hidden_size", nullptr), "hidden_size is absent"));
  CHECK(says(refusal_with("num_attention_heads", 4), "a divisor of hidden_size, 39"));
  CHECK(says(refusal_with("num_attention_heads", 0), "expected at least 1"));
  CHECK(says(refusal_with("hidden_size", 42), "has shape [50, 39], expected [50, 42]"));
  CHECK(says(refusal_with("num_hidden_layers", 3), "no tensor 'encoder.layer.2.attention.self.query.weight'"));
  CHECK(says(refusal_with("vocab_size", std::uint64_t{1} << 60), "has shape [50, 39]"));
  CHECK(says(refusal_with("layer_norm_eps", "tiny"), "expected a number"));
}

TEST(incomplete_folders_are_refused) {
  const TemporaryFolder folder;
  CHECK_THROWS(EncoderError, Encoder::load(folder.path("absent")));
  CHECK(says(refusal(folder), "model.safetensors is missing"));
  folder.write("pytorch_model.bin", "");
  CHECK(says(refusal(folder), "pytorch_model.bin, which is not supported"));
  Tensors tensors = bert_tensors({});
  tensors.erase("embeddings.LayerNorm.bias");
  write_model(folder, bert_config({}), tensors);
  CHECK(says(refusal(folder), "no tensor 'embeddings.LayerNorm.bias'"));
  folder.write("config.json", "{\"model_type\": ");
  CHECK(says(refusal(folder), "config.json is not valid JSON"));
}

TEST(static_models_are_weighted_means_of_rows) {
  const TemporaryFolder folder;
  const Tensor table = random_tensor({4, 37}, 1), weights = random_tensor({6}, 2, 1);
  // Tensors and, behind them, the mapping of six tokens to four rows, in int64.
  const std::vector<std::int64_t> mapping = {3, 2, 1, 0, 0, 3};
  std::string data(reinterpret_cast<const char*>(table.values.data()), 4 * 37 * 4);
  data.append(reinterpret_cast<const char*>(weights.values.data()), 6 * 4);
  data.append(reinterpret_cast<const char*>(mapping.data()), 6 * 8);
  folder.write("model.safetensors", safetensors_bytes(R"({
      "embeddings": {"dtype": "F32", "shape": [4, 37], "data_offsets": [0, 592]},
      "weights": {"dtype": "F32", "shape": [6], "data_offsets": [592, 616]},
      "mapping": {"dtype": "I64", "shape": [6], "data_offsets": [616, 664]}})",
                                                      data));
  folder.write("config.json", R"({"model_type": "model2vec", "normalize": true})");
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  CHECK(encoder.info().family == "model2vec" && encoder.info().vocabulary == 6 && encoder.info().dimension == 37);
  CHECK(encoder.info().normalized && encoder.info().max_length == 512);
  const Texts texts({0, 1, 5, 300}, 6);
  const std::vector<float> out = encode(encoder, texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<double> exact(37, 0);
    double norm = 0;
    for (std::int32_t id : texts[i])
      for (std::size_t j = 0; j < 37; ++j) {
        const auto token = static_cast<std::size_t>(id);
        exact[j] += static_cast<double>(weights.values[token]) *
                    table.values[static_cast<std::size_t>(mapping[token]) * 37 + j];
      }
    for (double value : exact) norm += value * value;
    for (std::size_t j = 0; j < 37; ++j) CHECK_NEAR(out[i * 37 + j], norm > 0 ? exact[j] / std::sqrt(norm) : 0, 1e-5);
  }
}

/// A table of two tokens in int8, and what else the header says.
std::string int8_table(const std::string& others) {
  const std::string rows = {3, 4, 0, -127, 0, 127};
  return safetensors_bytes(R"({"embeddings": {"dtype": "I8", "shape": [2, 3], "data_offsets": [0, 6]})" + others + "}",
                           rows + std::string(8, '\0'));
}

TEST(rows_of_int8_are_steps_of_one_size) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "model2vec"})");
  folder.write("model.safetensors", int8_table(""));
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  const std::vector<float> out = encode(encoder, Texts({1}, 1));
  CHECK_NEAR(out[0], 0.6, 1e-6);
  CHECK_NEAR(out[1], 0.8, 1e-6);
  CHECK_NEAR(out[2], 0, 1e-6);
  folder.write("model.safetensors",
               int8_table(R"(, "scale": {"dtype": "F32", "shape": [2], "data_offsets": [6, 14]})"));
  CHECK(says(refusal(folder), "tensor 'scale' beside 'embeddings' of dtype I8 is not supported"));
}

TEST(a_static_model_needs_no_configuration) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({9, 5}, 1)}}));
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  CHECK(encoder.info().family == "static" && encoder.info().max_length == 0 && !encoder.info().normalized);
  encode(encoder, Texts({20000, 1}, 9));
}

TEST(malformed_static_models_are_refused) {
  const TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "static"})");
  folder.write("model.safetensors", safetensors_of({{"other", random_tensor({9, 5}, 1)}}));
  CHECK(says(refusal(folder), "no tensor 'embedding.weight'"));
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({45}, 1)}}));
  CHECK(says(refusal(folder), "has shape [45], expected tokens x dimension"));
  const Tensor table = random_tensor({9, 5}, 1);
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", table}, {"weights", random_tensor({8}, 1)}}));
  CHECK(says(refusal(folder), "has shape [8], expected [9]"));
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", table}, {"mapping", random_tensor({8}, 1)}}));
  CHECK(says(refusal(folder), "has dtype F32, expected I32 or I64"));
  folder.write("config.json", R"({"model_type": "static", "pooling": "max"})");
  CHECK(says(refusal(folder), "pooling is \"max\""));
}

}  // namespace

TEST_MAIN()
