// The pipeline behind the transformer: poolings, Dense layers, normalisation, and the order in which they may come.
#include "encoding.hpp"

namespace {

using nlohmann::json;
using revector::Encoder;
using revector::Pooling;

json module(const std::string& type, const std::string& path = "") {
  return {{"type", "sentence_transformers.models." + type}, {"path", path}};
}

/// A sound BERT with a pipeline of its own: pooling in p/, Dense modules in d0/, d1/ …
struct Pipeline {
  explicit Pipeline(const json& modules, const json& pooling = json::object()) {
    write_model(folder, bert_config(shape), tensors);
    folder.write("modules.json", modules.dump());
    folder.write("p/config.json", pooling.dump());
  }
  Encoder load() const { return Encoder::load(folder.path(), revector::Precision::float32); }
  States states(std::span<const std::int32_t> ids) const {
    return ReferenceTransformer("bert", shape, tensors).states(ids);
  }

  ModelShape shape;
  Tensors tensors = bert_tensors(shape);
  TemporaryFolder folder;
};

const json pooled_pipeline = {module("Transformer"), module("Pooling", "p")};

void unit(std::vector<double>& row) {
  double squares = 0;
  for (double value : row) squares += value * value;
  for (double& value : row) value /= std::sqrt(squares);
}

TEST(modules_decide_pooling_normalisation_and_length) {
  const ModelShape shape;
  const TemporaryFolder folder;
  const Tensors tensors = bert_tensors(shape);
  folder.write("0_Transformer/config.json", bert_config(shape).dump());
  folder.write("0_Transformer/model.safetensors", safetensors_of(bert_tensors(shape, "bert.")));
  folder.write("0_Transformer/sentence_bert_config.json", R"({"max_seq_length": 20})");
  folder.write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  folder.write(
      "modules.json",
      json{module("Transformer", "0_Transformer"), module("Pooling", "1_Pooling"), module("Normalize", "2")}.dump());
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  CHECK(encoder.info().pooling == std::vector{Pooling::cls} && encoder.info().normalized);
  CHECK(encoder.info().max_length == 20 && encoder.info().transformer == folder.path("0_Transformer"));
  const Texts texts({12}, shape.vocabulary);
  const std::vector<float> out = encode(encoder, texts, {.normalize = false});
  std::vector<double> state = ReferenceTransformer("bert", shape, tensors).states(texts[0])[0];
  unit(state);
  for (std::size_t j = 0; j < shape.hidden; ++j) CHECK_NEAR(out[j], state[j], 1e-5);
  CHECK_THROWS(revector::InvalidArgument, encode(encoder, Texts({21}, shape.vocabulary)));
}

struct Mode {
  Pooling pooling;
  const char *name, *flag;
};
constexpr Mode modes[] = {{Pooling::cls, "cls", "pooling_mode_cls_token"},
                          {Pooling::max, "max", "pooling_mode_max_tokens"},
                          {Pooling::mean, "mean", "pooling_mode_mean_tokens"},
                          {Pooling::mean_sqrt_len_tokens, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
                          {Pooling::weightedmean, "weightedmean", "pooling_mode_weightedmean_tokens"},
                          {Pooling::lasttoken, "lasttoken", "pooling_mode_lasttoken"}};

TEST(every_pooling_is_read_in_both_spellings_and_equals_the_reference) {
  for (const Mode& mode : modes)
    for (const json& pooling : {json{{mode.flag, true}}, json{{"pooling_mode", mode.name}},
                                json{{"pooling_mode", json::array({mode.name})}, {"embedding_dimension", 39}}}) {
      const Pipeline pipeline(pooled_pipeline, pooling);
      const Encoder encoder = pipeline.load();
      CHECK(encoder.info().pooling == std::vector{mode.pooling});
      CHECK(pooling_name(encoder.info().pooling) == mode.name);
      check_against_reference(encoder, ReferenceTransformer("bert", pipeline.shape, pipeline.tensors), pipeline.shape,
                              {0, 1, 2, 30});
    }
}

TEST(a_prompt_is_read_and_not_pooled) {
  constexpr std::size_t skipped = 4;
  for (const Mode& mode : modes) {
    const Pipeline pipeline(pooled_pipeline, {{"pooling_mode", mode.name}});
    const std::size_t d = pipeline.shape.hidden;
    const Texts texts({9, 3, 23}, pipeline.shape.vocabulary);
    const std::vector<float> out = encode(pipeline.load(), texts, {.normalize = false, .unpooled = skipped});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto states = pipeline.states(texts[i]);
      const bool own = states.size() > skipped,
                 one = mode.pooling == Pooling::cls || mode.pooling == Pooling::lasttoken;
      const auto begin = own ? states.begin() + skipped : one ? states.begin() : states.end();
      const std::vector<double> exact = pooled({begin, states.end()}, mode.pooling, d, skipped);
      for (std::size_t j = 0; j < d; ++j) CHECK_NEAR(out[i * d + j], exact[j], 2e-5);
    }
  }
}

TEST(several_poolings_stand_beside_one_another) {
  const std::vector<Pooling> by_flags = {Pooling::cls, Pooling::mean, Pooling::lasttoken};
  const std::vector<Pooling> by_list = {Pooling::lasttoken, Pooling::max};
  for (const auto& [pooling, expected] : std::vector<std::pair<json, std::vector<Pooling>>>{
           {{{"pooling_mode_lasttoken", true}, {"pooling_mode_mean_tokens", true}, {"pooling_mode_cls_token", true}},
            by_flags},
           {{{"pooling_mode", {"lasttoken", "max"}}}, by_list}}) {
    const Pipeline pipeline(pooled_pipeline, pooling);
    const Encoder encoder = pipeline.load();
    const std::size_t d = pipeline.shape.hidden;
    CHECK(encoder.info().pooling == expected && encoder.info().dimension == expected.size() * d);
    const Texts texts({9, 0, 23}, pipeline.shape.vocabulary);
    const std::vector<float> out = encode(encoder, texts, {.normalize = false});
    for (std::size_t i = 0; i < texts.size(); ++i)
      for (std::size_t part = 0; part < expected.size(); ++part) {
        const std::vector<double> exact = pooled(pipeline.states(texts[i]), expected[part], d);
        for (std::size_t j = 0; j < d; ++j) CHECK_NEAR(out[(i * expected.size() + part) * d + j], exact[j], 2e-5);
      }
  }
  CHECK(revector::pooling_name(by_flags) == "cls+mean+lasttoken");
}

json dense_config(std::size_t in, std::size_t out, const char* activation = "activation.Tanh") {
  return {{"in_features", in},
          {"out_features", out},
          {"bias", true},
          {"activation_function", std::string("torch.nn.modules.") + activation}};
}

void write_dense(const TemporaryFolder& folder, const std::string& name, const json& config, const Tensors& tensors) {
  folder.write(name + "/config.json", config.dump());
  folder.write(name + "/model.safetensors", safetensors_of(tensors));
}

/// activation(W x + b)
template <class Function>
std::vector<double> dense(const Tensors& tensors, const std::vector<double>& x, Function activation) {
  const Tensor& weight = tensors.at("linear.weight");
  std::vector<double> y(weight.shape[0]);
  for (std::size_t o = 0; o < y.size(); ++o) {
    y[o] = tensors.count("linear.bias") != 0 ? static_cast<double>(tensors.at("linear.bias").values[o]) : 0.0;
    for (std::size_t j = 0; j < x.size(); ++j) y[o] += x[j] * static_cast<double>(weight.values[o * x.size() + j]);
    y[o] = activation(y[o]);
  }
  return y;
}

double relu(double x) { return x > 0 ? x : 0; }
double identity(double x) { return x; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double hyperbolic(double x) { return std::tanh(x); }

TEST(a_dense_layer_changes_the_dimension_under_every_activation) {
  const std::vector<std::pair<const char*, double (*)(double)>> activations = {{"activation.Tanh", hyperbolic},
                                                                               {"linear.Identity", identity},
                                                                               {"activation.ReLU", relu},
                                                                               {"activation.GELU", gelu},
                                                                               {"activation.Sigmoid", sigmoid}};
  for (const auto& [name, function] : activations)
    for (std::size_t width : {7, 64}) {
      const Pipeline pipeline({module("Transformer"), module("Pooling", "p"), module("Dense", "d0")});
      const Tensors tensors = {{"linear.weight", random_tensor({width, 39}, 5)},
                               {"linear.bias", random_tensor({width}, 6)}};
      write_dense(pipeline.folder, "d0", dense_config(39, width, name), tensors);
      const Encoder encoder = pipeline.load();
      CHECK(encoder.info().dimension == width && !encoder.info().normalized);
      const Texts texts({4, 1, 0, 31}, pipeline.shape.vocabulary);
      const std::vector<float> out = encode(encoder, texts, {.normalize = false});
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto exact = dense(tensors, pooled(pipeline.states(texts[i]), Pooling::mean, 39), function);
        for (std::size_t j = 0; j < width; ++j) CHECK_NEAR(out[i * width + j], exact[j], 2e-5);
      }
    }
}

TEST(dense_layers_follow_one_another_with_residuals_and_normalisation_between) {
  const Pipeline pipeline({module("Transformer"), module("Pooling", "p"), module("Normalize"), module("Dense", "d0"),
                           module("Dropout"), module("Dense", "d1"), module("Normalize")});
  const Tensors first = {{"linear.weight", random_tensor({39, 39}, 5)}},
                second = {{"linear.weight", random_tensor({11, 39}, 7)},
                          {"linear.bias", random_tensor({11}, 8)},
                          {"residual.weight", random_tensor({11, 39}, 9)}};
  json without_bias = dense_config(39, 39), projected = dense_config(39, 11);
  without_bias.update({{"bias", false}, {"use_residual", true}});
  projected.update({{"use_residual", true}});
  write_dense(pipeline.folder, "d0", without_bias, first);
  write_dense(pipeline.folder, "d1", projected, second);
  const Encoder encoder = pipeline.load();
  CHECK(encoder.info().dimension == 11 && encoder.info().normalized);
  std::vector<std::size_t> lengths(150, 3);  // more rows than are projected at once
  const Texts texts(lengths, pipeline.shape.vocabulary);
  const std::vector<float> out = encode(encoder, texts, {.normalize = false});
  for (std::size_t i = 0; i < texts.size(); i += 29) {
    std::vector<double> x = pooled(pipeline.states(texts[i]), Pooling::mean, 39);
    unit(x);
    std::vector<double> y = dense(first, x, hyperbolic);
    for (std::size_t j = 0; j < 39; ++j) y[j] += x[j];
    std::vector<double> z = dense(second, y, hyperbolic);
    const auto residual = dense({{"linear.weight", second.at("residual.weight")}}, y, identity);
    for (std::size_t j = 0; j < 11; ++j) z[j] += residual[j];
    unit(z);
    for (std::size_t j = 0; j < 11; ++j) CHECK_NEAR(out[i * 11 + j], z[j], 1e-5);
  }
}

TEST(a_model_names_every_file_that_decides_its_vectors) {
  const Pipeline pipeline({module("Transformer"), module("Pooling", "p"), module("Dense", "d0")});
  write_dense(pipeline.folder, "d0", dense_config(39, 4),
              {{"linear.weight", random_tensor({4, 39}, 5)}, {"linear.bias", random_tensor({4}, 6)}});
  const std::vector<std::string> expected = {
      pipeline.folder.path("model.safetensors"), pipeline.folder.path("d0/model.safetensors"),
      pipeline.folder.path("d0/config.json"), pipeline.folder.path("modules.json")};
  CHECK(pipeline.load().info().files == expected);
}

/// The message for a Dense module with this configuration.
std::string refusal_of_dense(const json& change, const Tensors& tensors = {}) {
  const Pipeline pipeline({module("Transformer"), module("Pooling", "p"), module("Dense", "d0")});
  json config = dense_config(39, 4);
  config.update(change);
  Tensors written = {{"linear.weight", random_tensor({4, 39}, 5)}, {"linear.bias", random_tensor({4}, 6)}};
  for (const auto& [name, tensor] : tensors) written[name] = tensor;
  write_dense(pipeline.folder, "d0", config, written);
  return refusal(pipeline.folder);
}

TEST(dense_modules_that_do_not_fit_are_refused) {
  CHECK(refusal_of_dense(json::object()).empty());
  CHECK(says(refusal_of_dense({{"in_features", 40}}), "in_features is 40, expected 39, what the module before it"));
  CHECK(says(refusal_of_dense({{"out_features", 0}}), "out_features is 0, expected at least 1"));
  CHECK(says(refusal_of_dense({{"out_features", 5}}), "has shape [4, 39], expected [5, 39]"));
  CHECK(says(refusal_of_dense({{"out_features", 1'000'000'000'000}}), "has shape [4, 39]"));
  CHECK(says(refusal_of_dense({{"activation_function", "torch.nn.modules.activation.PReLU"}}), "not supported"));
  CHECK(says(refusal_of_dense({{"activation_function", "my.Tanh"}}), "use the sentence-transformers encoder"));
  CHECK(says(refusal_of_dense({{"module_input_name", "token_embeddings"}}), "module_input_name is \"token_emb"));
  CHECK(says(refusal_of_dense({{"use_residual", true}}), "no tensor 'residual.weight'"));
  CHECK(
      says(refusal_of_dense(json::object(), {{"linear.bias", random_tensor({5}, 1)}}), "has shape [5], expected [4]"));
}

std::string refusal_of(const json& modules, const json& pooling = json::object()) {
  return refusal(Pipeline(modules, pooling).folder);
}

TEST(poolings_that_are_not_supported_are_refused) {
  CHECK(refusal_of(pooled_pipeline).empty());
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode", "attention"}}), "pooling_mode is \"attention\", which"));
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode", {"cls", "attention"}}}), "is [\"cls\",\"attention\"]"));
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode", json::array()}}), "expected one to 6 poolings"));
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode", 3}}), "expected a string or a list of strings"));
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode_cls_token", "yes"}}), "expected true or false"));
  CHECK(says(refusal_of(pooled_pipeline, {{"include_prompt", "no"}}), "expected true or false"));
  CHECK(refusal_of(pooled_pipeline, {{"include_prompt", false}}).empty());
  json many = json::array();
  for (int i = 0; i < 1000; ++i) many.push_back("cls");
  CHECK(says(refusal_of(pooled_pipeline, {{"pooling_mode", many}}), "expected one to 6 poolings"));
}

TEST(modules_in_another_order_are_refused) {
  const json transformer = module("Transformer"), pooling = module("Pooling", "p"), normalize = module("Normalize");
  const json dense = module("Dense", "d0");
  for (const json& modules : {json{pooling}, json{normalize, transformer, pooling}, json{pooling, transformer}})
    CHECK(says(refusal_of(modules), "expected Transformer or StaticEmbedding as the first module; use the sentence-"));
  for (const json& modules : {json{transformer, normalize}, json{transformer, dense, pooling},
                              json{transformer, pooling, pooling}, json{transformer, pooling, normalize, pooling}})
    CHECK(says(refusal_of(modules), "expected exactly one Pooling, right behind the Transformer"));
  CHECK(says(refusal_of({transformer, pooling, transformer}), "expected no second Transformer"));
  CHECK(says(refusal_of(json::array({transformer})), "has no Pooling in its modules.json"));
  CHECK(says(refusal_of({transformer, pooling, module("LSTM")}), "LSTM\", which is not supported"));
}

TEST(malformed_lists_of_modules_are_refused) {
  CHECK(says(refusal_of(json::object()), "is not a list of modules"));
  CHECK(says(refusal_of(json::array()), "is not a list of modules"));
  CHECK(says(refusal_of(json::array({3})), "is not a JSON object"));
  CHECK(says(refusal_of(json::array({module("Transformer", "../elsewhere")})),
             "expected a folder inside that of the model"));
  CHECK(says(refusal_of(json::array({module("Transformer", "/etc")})), "expected a folder inside that of the model"));
  CHECK(says(refusal_of({module("Transformer"), module("Pooling", "absent")}), "cannot be read"));
  const Pipeline pipeline(pooled_pipeline);
  pipeline.folder.write("modules.json", "[{");
  CHECK(says(refusal(pipeline.folder), "is not valid JSON"));
}

/// max_length of a BERT of 40 positions beside these two files; "" is not a file.
std::size_t max_length(const std::string& limits, const std::string& tokenizer,
                       const char* limits_name = "sentence_bert_config.json") {
  const TemporaryFolder folder;
  write_model(folder, bert_config({}), bert_tensors({}));
  if (!limits.empty()) folder.write(limits_name, limits);
  if (!tokenizer.empty()) folder.write("tokenizer_config.json", tokenizer);
  return Encoder::load(folder.path(), revector::Precision::float32).info().max_length;
}

TEST(the_longest_text_is_what_sentence_transformers_takes) {
  CHECK(max_length("", "") == 40);
  CHECK(max_length(R"({"max_seq_length": 20})", R"({"model_max_length": 10})") == 20);
  CHECK(max_length(R"({"max_seq_length": 200})", "") == 40);
  CHECK(max_length(R"({"max_seq_length": null})", R"({"model_max_length": 10})") == 10);
  CHECK(max_length("", R"({"model_max_length": 1000000000000000019884624838656})") == 40);
  CHECK(max_length(R"({"max_seq_length": 13})", "", "sentence_xlm-roberta_config.json") == 13);
}

}  // namespace

TEST_MAIN()
