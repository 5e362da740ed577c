#include "revector/encoder.hpp"

#include <atomic>
#include <limits>
#include <thread>

#include "check.hpp"
#include "reference_bert.hpp"

namespace {

using nlohmann::json;
using revector::EncodeOptions;
using revector::Encoder;
using revector::EncoderError;
using revector::Pooling;

/// Texts of these lengths with random ids.
struct Texts {
  Texts(const std::vector<std::size_t>& lengths, std::size_t vocabulary) {
    std::mt19937 engine(7);
    for (std::size_t length : lengths) {
      for (std::size_t i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>(engine() % vocabulary));
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
  std::size_t size() const { return offsets.size() - 1; }
  std::span<const std::int32_t> operator[](std::size_t i) const {
    return std::span(ids).subspan(static_cast<std::size_t>(offsets[i]),
                                  static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  }
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets = {0};
};

std::vector<float> encode(const Encoder& encoder, const Texts& texts, const EncodeOptions& options = {}) {
  std::vector<float> out(texts.size() * encoder.info().dimension, 42);
  encoder.encode(texts.ids, texts.offsets, {out.data(), texts.size(), encoder.info().dimension}, options);
  return out;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double relu(double x) { return x > 0 ? x : 0; }

/// The pooled states, not normalised.
std::vector<double> pooled(const States& states, Pooling pooling, std::size_t hidden) {
  std::vector<double> out(hidden, 0);
  const std::size_t used = pooling == Pooling::cls && !states.empty() ? 1 : states.size();
  for (std::size_t i = 0; i < used; ++i)
    for (std::size_t j = 0; j < hidden; ++j) out[j] += states[i][j] / static_cast<double>(used);
  return out;
}

void check_against_reference(const Encoder& encoder, const ReferenceBert& reference, const BertShape& shape,
                             Pooling pooling) {
  const Texts texts({1, 2, 17, 0, 40, 3, 16, 33, 39}, shape.vocabulary);
  const std::vector<float> out = encode(encoder, texts, {.normalize = false});
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<double> exact = pooled(reference.states(texts[i]), pooling, shape.hidden);
    for (std::size_t j = 0; j < shape.hidden; ++j) CHECK_NEAR(out[i * shape.hidden + j], exact[j], 2e-5);
  }
}

TEST(bert_equals_a_reference_in_float64_for_odd_sizes) {
  for (const BertShape& shape : {BertShape{}, BertShape{50, 52, 3, 2, 33, 40, 1}, BertShape{50, 16, 1, 16, 5, 40, 3}}) {
    const TemporaryFolder folder;
    const Tensors tensors = bert_tensors(shape);
    write_bert(folder, bert_config(shape), tensors);
    const Encoder encoder = Encoder::load(folder.path());
    CHECK(encoder.info().family == "bert" && encoder.info().dimension == shape.hidden);
    CHECK(encoder.info().max_length == shape.positions && !encoder.info().normalized);
    check_against_reference(encoder, ReferenceBert(shape, tensors, 1e-7, gelu), shape, Pooling::mean);
  }
}

TEST(every_activation_is_the_one_that_is_named) {
  const BertShape shape;
  const std::vector<std::pair<const char*, double (*)(double)>> activations = {
      {"gelu", gelu}, {"gelu_new", gelu_tanh}, {"gelu_pytorch_tanh", gelu_tanh}, {"relu", relu}};
  for (const auto& [name, function] : activations) {
    const TemporaryFolder folder;
    json config = bert_config(shape);
    config["hidden_act"] = name;
    const Tensors tensors = bert_tensors(shape);
    write_bert(folder, config, tensors);
    check_against_reference(Encoder::load(folder.path()), ReferenceBert(shape, tensors, 1e-7, function), shape,
                            Pooling::mean);
  }
}

TEST(modules_decide_pooling_normalisation_and_length) {
  const BertShape shape;
  const TemporaryFolder folder;
  const Tensors tensors = bert_tensors(shape);
  folder.write("0_Transformer/config.json", bert_config(shape).dump());
  folder.write("0_Transformer/model.safetensors", safetensors_of(bert_tensors(shape, "bert.")));
  folder.write("0_Transformer/sentence_bert_config.json", R"({"max_seq_length": 20})");
  folder.write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  folder.write("modules.json", R"([{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
                                   {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                                   {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])");
  const Encoder encoder = Encoder::load(folder.path());
  CHECK(encoder.info().pooling == Pooling::cls && encoder.info().normalized && encoder.info().max_length == 20);
  CHECK(encoder.info().transformer == folder.path("0_Transformer"));
  const Texts texts({12}, shape.vocabulary);
  const std::vector<float> out = encode(encoder, texts, {.normalize = false});
  const std::vector<double> state = ReferenceBert(shape, tensors, 1e-7, gelu).states(texts[0])[0];
  double norm = 0;
  for (double value : state) norm += value * value;
  for (std::size_t j = 0; j < shape.hidden; ++j) CHECK_NEAR(out[j], state[j] / std::sqrt(norm), 1e-5);
  CHECK_THROWS(revector::InvalidArgument, encode(encoder, Texts({21}, shape.vocabulary)));
}

TEST(the_newer_spelling_of_pooling_is_read) {
  const TemporaryFolder folder;
  write_bert(folder, bert_config({}), bert_tensors({}));
  folder.write("modules.json", R"([{"path": "", "type": "a.b.Transformer"}, {"path": "p", "type": "c.Pooling"}])");
  for (const char* mode : {R"("cls")", R"(["cls"])"}) {
    folder.write("p/config.json", std::string(R"({"embedding_dimension": 39, "pooling_mode": )") + mode + "}");
    CHECK(Encoder::load(folder.path()).info().pooling == Pooling::cls);
  }
}

TEST(layer_norms_may_have_the_names_of_tensorflow) {
  const TemporaryFolder folder;
  const BertShape shape;
  const Tensors tensors = bert_tensors(shape);
  Tensors renamed;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t at = name.find("LayerNorm.");
    const bool gain = name.ends_with("weight");
    renamed[at == std::string::npos ? name : name.substr(0, at + 10) + (gain ? "gamma" : "beta")] = tensor;
  }
  write_bert(folder, bert_config(shape), renamed);
  check_against_reference(Encoder::load(folder.path()), ReferenceBert(shape, tensors, 1e-7, gelu), shape,
                          Pooling::mean);
}

TEST(a_text_does_not_depend_on_its_batch_nor_on_threads) {
  const BertShape shape;
  const TemporaryFolder folder;
  write_bert(folder, bert_config(shape), bert_tensors(shape));
  const Encoder encoder = Encoder::load(folder.path());
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
  const BertShape shape;
  const TemporaryFolder folder;
  write_bert(folder, bert_config(shape), bert_tensors(shape));
  const Encoder encoder = Encoder::load(folder.path());
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
  write_bert(transformer, bert_config({}), bert_tensors({}));
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
  write_bert(folder, bert_config({}), bert_tensors({}));
  const Encoder encoder = Encoder::load(folder.path());
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
  write_bert(folder, bert_config({}), tensors);
  const Encoder encoder = Encoder::load(folder.path());
  CHECK_THROWS(EncoderError, encode(encoder, Texts({5}, 50)));
  CHECK_THROWS(EncoderError, encode(encoder, Texts({5}, 50), {.normalize = false}));
}

/// The message with which a folder is refused; "" if it is not.
std::string refusal(const TemporaryFolder& folder) {
  try {
    Encoder::load(folder.path());
    return "";
  } catch (const EncoderError& error) {
    return error.what();
  }
}

bool says(const std::string& message, const std::string& part) {
  if (message.find(part) == std::string::npos) std::printf("  message: %s\n", message.c_str());
  return message.find(part) != std::string::npos;
}

/// A sound model with one field of config.json set.
std::string refusal_with(const char* field, const json& value) {
  const TemporaryFolder folder;
  json config = bert_config({});
  config[field] = value;
  write_bert(folder, config, bert_tensors({}));
  return refusal(folder);
}

TEST(configurations_that_are_not_supported_name_the_field_and_the_way_out) {
  for (const auto& [field, value] : std::vector<std::pair<const char*, const char*>>{
           {"model_type", "roberta"}, {"hidden_act", "silu"}, {"position_embedding_type", "relative_key"}}) {
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

/// A sound model with a pipeline of its own.
std::string refusal_of_modules(const std::string& modules, const std::string& pooling = "{}") {
  const TemporaryFolder folder;
  write_bert(folder, bert_config({}), bert_tensors({}));
  folder.write("modules.json", modules);
  folder.write("p/config.json", pooling);
  return refusal(folder);
}

TEST(modules_and_poolings_that_are_not_supported_are_refused) {
  const std::string pipeline = R"([{"path": "", "type": "a.Transformer"}, {"path": "p", "type": "a.Pooling"}])";
  CHECK(refusal_of_modules(pipeline).empty());
  for (const char* flag : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                           "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"})
    CHECK(says(refusal_of_modules(pipeline, json{{flag, true}}.dump()), std::string(flag) + " is true, which is not"));
  const json both = {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}};
  CHECK(says(refusal_of_modules(pipeline, both.dump()), "pooling_mode_cls_token is true"));
  CHECK(says(refusal_of_modules(pipeline, R"({"pooling_mode": "max"})"), "pooling_mode is \"max\""));
  CHECK(says(refusal_of_modules(pipeline, R"({"include_prompt": false})"), "include_prompt is false"));
  CHECK(says(refusal_of_modules(R"([{"path": "2_Dense", "type": "a.Dense"}])"), "type is \"a.Dense\""));
  CHECK(says(refusal_of_modules("{}"), "is not a list of modules"));
  CHECK(says(refusal_of_modules("[3]"), "is not a JSON object"));
  CHECK(says(refusal_of_modules("[{"), "is not valid JSON"));
}

TEST(incomplete_folders_are_refused) {
  const TemporaryFolder folder;
  CHECK_THROWS(EncoderError, Encoder::load(folder.path("absent")));
  CHECK(says(refusal(folder), "model.safetensors is missing"));
  folder.write("pytorch_model.bin", "");
  CHECK(says(refusal(folder), "pytorch_model.bin, which is not supported"));
  Tensors tensors = bert_tensors({});
  tensors.erase("embeddings.LayerNorm.bias");
  write_bert(folder, bert_config({}), tensors);
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
  const Encoder encoder = Encoder::load(folder.path());
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

TEST(a_static_model_needs_no_configuration) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({9, 5}, 1)}}));
  const Encoder encoder = Encoder::load(folder.path());
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
